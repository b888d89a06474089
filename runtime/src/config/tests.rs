use super::*;

const GATE: &str = "cluster = 1\nnode = 1\nstate_dir = \"s\"\napi = \"127.0.0.1:1\"\n";
const GATES: &str = "peers = [{node = 1, addr = \"a:1\"}, {node = 2, addr = \"b:1\", api = \
                     \"b:2\"}]\n";
const DATACENTERS: &str =
    "[[datacenters]]\nname = \"dc\"\nmanagers = [{node = 9, addr = \"m:1\"}]\n";
const MANAGER: &str =
    "cluster = 1\nnode = 9\nstate_dir = \"s\"\ndatacenter = \"dc\"\nlisten = \"127.0.0.1:2\"\n";
const WORKER: &str = "cluster = 1\nnode = 20\n";

fn parsed<F: NodeFile>(text: &str) -> Result<F, String> {
    parse(Path::new("f"), text).map_err(|error| error.to_string())
}

fn refused<F: NodeFile + std::fmt::Debug>(text: &str) -> String {
    parsed::<F>(text).expect_err(text)
}

#[test]
fn a_misspelt_field_is_named_with_its_position() {
    let error = refused::<WorkerFile>(&format!("{WORKER}managers = []\nlaese = 3\n"));
    assert!(error.contains("line 4") && error.contains("laese"), "{error}");
    assert!(error.contains("lease"), "{error}");
    let error =
        refused::<GateFile>(&format!("{GATE}peers = [{{node = 2, adr = \"a\"}}]\n{DATACENTERS}"));
    assert!(error.contains("line 5") && error.contains("adr"), "{error}");
}

#[test]
fn values_out_of_range_are_refused_where_they_stand() {
    let managers = "managers = [{node = 1, addr = \"a:1\"}]\n";
    let cases = [
        ("[lease]\nttl_ms = 1\n", "f: line 5, column 1: lease.ttl: 1ms is out of range"),
        ("lease = {drift_ppm = 24001}\n", "f: line 4, column 10: lease.drift_ppm: 24001"),
        ("  cores = 0\n", "f: line 4, column 3: cores: 0"),
    ];
    for (text, expected) in cases {
        let error = refused::<WorkerFile>(&format!("{WORKER}{managers}{text}"));
        assert!(error.starts_with(expected), "{error}");
    }
    let error = refused::<WorkerFile>(&format!("{WORKER}managers = []\n"));
    assert!(error.starts_with("f: line 3, column 1: managers: empty"), "{error}");
}

#[test]
fn a_group_of_gates_needs_an_address_and_every_node_once() {
    let error = refused::<GateFile>(&format!("{GATE}{GATES}{DATACENTERS}"));
    assert!(error.starts_with("f: listen: nothing is out of range"), "{error}");
    let listen = "listen = \"127.0.0.1:3\"\n";
    let file: GateFile = parsed(&format!("{GATE}{listen}{GATES}{DATACENTERS}")).expect("valid");
    let two = hyperscale_core::ids::NodeId::new(2);
    assert_eq!(file.checked().expect("valid").consensus.peers, [two]);
    assert_eq!(file.dials().len(), 1);
    assert_eq!(file.apis(), [(two, "b:2".to_owned())].into());
    let twice = "peers = [{node = 2, addr = \"a:1\"}, {node = 2, addr = \"b:1\"}]\n";
    let error = refused::<ManagerFile>(&format!("{MANAGER}{twice}"));
    assert!(error.starts_with("f: line 6, column 1: peers: node 2 twice"), "{error}");
}

#[test]
fn timers_of_a_group_are_checked_together() {
    let error = refused::<ManagerFile>(&format!("{MANAGER}[consensus]\nsilence_ms = 100\n"));
    assert!(error.starts_with("f: line 7, column 1: consensus.silence: 100ms"), "{error}");
    let early = format!("{MANAGER}[consensus]\nheartbeat_ms = 50\nelection_min_ms = 399\n");
    let error = refused::<ManagerFile>(&early);
    assert!(error.starts_with("f: line 8, column 1: consensus.election_min: 399ms"), "{error}");
    let error = refused::<GateFile>(&format!("{GATE}session_ttl_ms = 5\n{DATACENTERS}"));
    assert!(error.starts_with("f: line 5, column 1: session_ttl: 5 ms"), "{error}");
}

#[test]
fn a_file_says_which_role_keeps_a_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("node.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("written");
        read_voter(&path)
    };
    assert!(matches!(read(MANAGER), Ok(VoterFile::Manager(_))));
    assert!(matches!(read(&format!("{GATE}{DATACENTERS}")), Ok(VoterFile::Gate(_))));
    assert!(matches!(read(WORKER), Err(FileError::Stateless { .. })));
}

#[test]
fn how_nodes_judge_each_other_is_checked_where_it_stands() {
    let managers = "managers = [{node = 1, addr = \"a:1\"}]\n";
    let error = refused::<WorkerFile>(&format!(
        "{WORKER}{managers}[membership]\nproxies = 1\nperiod_ms = 9\n"
    ));
    assert!(error.starts_with("f: line 6, column 1: membership.period_ms: 9ms"), "{error}");
    let late = format!("{GATE}{DATACENTERS}[health]\nsuspect_after_ms = 1999\n");
    let error = refused::<GateFile>(&late);
    assert!(error.starts_with("f: line 9, column 1: health.suspect_after: 1.999s"), "{error}");
    let error = refused::<ManagerFile>(&format!("{MANAGER}stuck_after_ms = 999\n"));
    assert!(error.starts_with("f: line 6, column 1: stuck_after: 999"), "{error}");
}
