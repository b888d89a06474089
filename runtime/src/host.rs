//! What this process may use of its machine: cores and memory, as affinity and control groups
//! (version 2 and 1) allow, and how much of them it uses.
//!
//! A load thread needs a whole core, so a quota of 1.5 cores is one. A limit of any group above the
//! own one counts. Files that are not there limit nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// The most cores that a worker offers.
const CORES_MAX: usize = 512;

/// What may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Whole cores; at least one.
    pub cores: u16,
    /// Bytes of memory; `None`: the machine's.
    pub memory: Option<u64>,
}

/// Where the system tells of itself; a folder of its own in tests.
#[derive(Clone, Debug)]
pub struct Host {
    proc: PathBuf,
    cgroup: PathBuf,
    affinity: usize,
}

/// The control groups of this process.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Groups {
    /// One hierarchy; the folders from the own group up to the root.
    V2(Vec<PathBuf>),
    /// A hierarchy per controller.
    V1 { cpu: Vec<PathBuf>, cpuset: Vec<PathBuf>, memory: Vec<PathBuf> },
}

impl Default for Host {
    fn default() -> Self {
        let affinity = std::thread::available_parallelism().map_or(1, usize::from);
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into(), affinity }
    }
}

impl Host {
    /// The machine below `root`, as a process sees it that may run on so many cores.
    pub fn at(root: &Path, affinity: usize) -> Self {
        Self { proc: root.join("proc"), cgroup: root.join("sys/fs/cgroup"), affinity }
    }

    /// What may be used.
    pub fn allowance(&self) -> Allowance {
        let groups = self.groups();
        let (quota, cpuset) = match &groups {
            Groups::V2(dirs) => (least(dirs, quota_v2), least(dirs, |dir| cpus(dir, CPUSET_V2))),
            Groups::V1 { cpu, cpuset, .. } => {
                (least(cpu, quota_v1), least(cpuset, |dir| cpus(dir, CPUSET_V1)))
            }
        };
        let cores = [Some(self.affinity), quota, cpuset].into_iter().flatten().min();
        let cores = cores.unwrap_or(1).clamp(1, CORES_MAX);
        Allowance {
            cores: u16::try_from(cores).unwrap_or(u16::MAX),
            memory: self.memory_limit(&groups),
        }
    }

    /// Memory in use, thousandths of what may be used; 0 where it cannot be known.
    pub fn memory_permille(&self) -> u16 {
        let groups = self.groups();
        let in_group = self.memory_limit(&groups).and_then(|limit| {
            let dir = match &groups {
                Groups::V2(dirs) => dirs.first(),
                Groups::V1 { memory, .. } => memory.first(),
            }?;
            Some((used(dir)?, limit))
        });
        let in_machine = || {
            let total = self.meminfo("MemTotal:")?;
            Some((total.saturating_sub(self.meminfo("MemAvailable:")?), total))
        };
        let Some((used, limit)) = in_group.or_else(in_machine) else { return 0 };
        let permille = u128::from(used) * 1000 / u128::from(limit.max(1));
        u16::try_from(permille.min(1000)).unwrap_or(1000)
    }

    fn memory_limit(&self, groups: &Groups) -> Option<u64> {
        let limit = match groups {
            Groups::V2(dirs) => least(dirs, |dir| number(dir, "memory.max")),
            Groups::V1 { memory, .. } => least(memory, |dir| number(dir, "memory.limit_in_bytes")),
        };
        // Version 1 writes a number beyond any memory where there is no limit.
        let total = self.meminfo("MemTotal:").unwrap_or(u64::MAX);
        limit.filter(|limit| *limit < total)
    }

    fn meminfo(&self, field: &str) -> Option<u64> {
        let text = fs::read_to_string(self.proc.join("meminfo")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    fn groups(&self) -> Groups {
        let text = fs::read_to_string(self.proc.join("self/cgroup")).unwrap_or_default();
        let lines: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        let own = |controller: &str| {
            let mut named =
                lines.iter().filter(|(list, _)| list.split(',').any(|c| c == controller));
            let (list, path) = named.next()?;
            let dirs = [*list, controller].map(|name| self.cgroup.join(name));
            let root = dirs.into_iter().find(|dir| dir.is_dir())?;
            Some(upwards(&root, path))
        };
        if let (Some(cpu), Some(memory)) = (own("cpu"), own("memory")) {
            return Groups::V1 { cpu, cpuset: own("cpuset").unwrap_or_default(), memory };
        }
        let path = lines.iter().find(|(list, _)| list.is_empty()).map_or("/", |(_, path)| path);
        Groups::V2(upwards(&self.cgroup, path))
    }
}

const CPUSET_V2: &[&str] = &["cpuset.cpus.effective", "cpuset.cpus"];
const CPUSET_V1: &[&str] = &["cpuset.effective_cpus", "cpuset.cpus"];

/// The folders of a group and of all above it. In a container the own path may lead to nothing
/// that is mounted: the root then stands for it.
fn upwards(root: &Path, path: &str) -> Vec<PathBuf> {
    let own = root.join(path.trim_start_matches('/'));
    let dirs = own.ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_owned);
    dirs.filter(|dir| dir.is_dir()).collect()
}

fn least<T: Ord>(dirs: &[PathBuf], read: impl Fn(&Path) -> Option<T>) -> Option<T> {
    dirs.iter().filter_map(|dir| read(dir)).min()
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
}

fn quota_v2(dir: &Path) -> Option<usize> {
    let text = fs::read_to_string(dir.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    whole_cores(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_v1(dir: &Path) -> Option<usize> {
    // -1 where there is no quota: no number of ours.
    whole_cores(number(dir, "cpu.cfs_quota_us")?, number(dir, "cpu.cfs_period_us")?)
}

fn whole_cores(quota: u64, period: u64) -> Option<usize> {
    usize::try_from(quota.checked_div(period)?.max(1)).ok()
}

/// The number of processors in the first of these files that lists any.
fn cpus(dir: &Path, files: &[&str]) -> Option<usize> {
    let texts = files.iter().filter_map(|file| fs::read_to_string(dir.join(file)).ok());
    let counts = texts.filter_map(|text| {
        let spans = text.trim().split(',').map(|span| {
            let (first, last) = span.split_once('-').unwrap_or((span, span));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        });
        spans.sum::<Option<usize>>().filter(|count| *count > 0)
    });
    counts.into_iter().next()
}

/// What a group uses without what the kernel would drop before it kills.
fn used(dir: &Path) -> Option<u64> {
    let current = number(dir, "memory.current").or_else(|| number(dir, "memory.usage_in_bytes"))?;
    let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
    let field = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse::<u64>().ok()
    };
    let cached = field("total_inactive_file").or_else(|| field("inactive_file")).unwrap_or(0);
    Some(current.saturating_sub(cached))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)], affinity: usize) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("written");
        }
        let host = Host::at(root.path(), affinity);
        (root, host)
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal:    8192 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\n");

    #[test]
    fn nothing_told_limits_nothing() {
        let (_root, host) = host(&[], 6);
        assert_eq!(host.allowance(), Allowance { cores: 6, memory: None });
        assert_eq!(host.memory_permille(), 0);
        assert_eq!(Host::at(Path::new("/nowhere"), 9_999).allowance().cores, 512);
    }

    #[test]
    fn version_2_takes_the_least_of_all_groups_above() {
        let (_root, host) = host(
            &[
                MEMINFO,
                ("proc/self/cgroup", "0::/pods/a\n"),
                ("sys/fs/cgroup/cgroup.controllers", "cpu memory"),
                ("sys/fs/cgroup/pods/cpu.max", "350000 100000\n"),
                ("sys/fs/cgroup/pods/a/cpu.max", "max 100000\n"),
                ("sys/fs/cgroup/pods/a/cpuset.cpus.effective", "0-1,4,6-7\n"),
                ("sys/fs/cgroup/pods/memory.max", "4194304\n"),
                ("sys/fs/cgroup/pods/a/memory.max", "max\n"),
                ("sys/fs/cgroup/pods/a/memory.current", "3145728\n"),
                ("sys/fs/cgroup/pods/a/memory.stat", "anon 5\ninactive_file 1048576\n"),
            ],
            8,
        );
        assert_eq!(host.allowance(), Allowance { cores: 3, memory: Some(4 << 20) });
        assert_eq!(host.memory_permille(), 500);
    }

    #[test]
    fn a_part_of_a_core_is_one_and_a_cpuset_counts() {
        let files = |max| {
            [
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/cpu.max", max),
                ("sys/fs/cgroup/cpuset.cpus", "2,5\n"),
            ]
        };
        assert_eq!(host(&files("50000 100000"), 8).1.allowance().cores, 1);
        assert_eq!(host(&files("max 100000"), 8).1.allowance().cores, 2);
        assert_eq!(host(&files("900000 100000"), 1).1.allowance().cores, 1);
    }

    #[test]
    fn version_1_has_a_hierarchy_per_controller() {
        let (_root, host) = host(
            &[
                MEMINFO,
                (
                    "proc/self/cgroup",
                    "9:memory:/d/x\n4:cpu,cpuacct:/d/x\n2:cpuset:/d\n1:name=systemd:/d\n",
                ),
                ("sys/fs/cgroup/cpu,cpuacct/d/x/cpu.cfs_quota_us", "250000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/d/x/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/d/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu,cpuacct/d/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpuset/d/cpuset.cpus", "0-5\n"),
                ("sys/fs/cgroup/memory/d/x/memory.limit_in_bytes", "2097152\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("sys/fs/cgroup/memory/d/x/memory.usage_in_bytes", "2097152\n"),
                ("sys/fs/cgroup/memory/d/x/memory.stat", "total_inactive_file 209715\n"),
            ],
            16,
        );
        assert_eq!(host.allowance(), Allowance { cores: 2, memory: Some(2 << 20) });
        assert_eq!(host.memory_permille(), 900);
    }

    #[test]
    fn without_a_limit_the_machine_counts() {
        let (_root, host) = host(&[MEMINFO, ("proc/self/cgroup", "0::/\n")], 2);
        assert_eq!(host.allowance(), Allowance { cores: 2, memory: None });
        assert_eq!(host.memory_permille(), 750);
    }

    #[test]
    fn this_machine_says_something_sensible() {
        let host = Host::default();
        assert!(host.allowance().cores >= 1);
        assert!((1..=1000).contains(&host.memory_permille()));
    }
}
