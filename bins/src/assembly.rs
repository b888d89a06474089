//! Where the nodes come from.

pub(crate) mod local {
    use std::path::PathBuf;

    use hyperscale_runtime::calls::Gate;

    use crate::exit::Exit;
    use crate::failure::Failure;

    #[derive(Debug)]
    #[allow(dead_code, reason = "the shape that the runtime's will have")]
    pub(crate) struct LocalOptions {
        pub(crate) state_dir: Option<PathBuf>,
        pub(crate) cores: Option<u16>,
        pub(crate) record: Option<PathBuf>,
        pub(crate) demo: bool,
    }

    #[derive(Debug)]
    pub(crate) struct Cluster {
        gate: Gate,
    }

    impl Cluster {
        pub(crate) async fn start(_: LocalOptions) -> Result<Self, Failure> {
            Err(Failure::new(Exit::Internal, "this build has no nodes"))
        }

        pub(crate) fn gate(&self) -> Gate {
            self.gate.clone()
        }

        pub(crate) async fn shutdown(self) {}
    }
}

pub(crate) mod node {
    use hyperscale_runtime::config::{GateFile, ManagerFile, WorkerFile};

    use crate::exit::Exit;
    use crate::failure::Failure;
    use crate::interrupt::Interrupt;

    pub(crate) async fn run_gate(_: GateFile, _: Interrupt) -> Result<(), Failure> {
        Err(Failure::new(Exit::Internal, "this build has no nodes"))
    }

    pub(crate) async fn run_manager(_: ManagerFile, _: Interrupt) -> Result<(), Failure> {
        Err(Failure::new(Exit::Internal, "this build has no nodes"))
    }

    pub(crate) async fn run_worker(_: WorkerFile, _: Interrupt) -> Result<(), Failure> {
        Err(Failure::new(Exit::Internal, "this build has no nodes"))
    }
}
