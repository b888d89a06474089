//! The files of the repository, read from disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the tree.
pub(crate) struct File {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `None` when the file is not UTF-8.
    pub(crate) text: Option<String>,
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("bins has a parent").to_path_buf()
}

/// Every file that git tracks or would add, in order of path; without a checkout every file that
/// is not build output.
pub(crate) fn files(root: &Path) -> Vec<File> {
    let mut paths = listed_by_git(root);
    if paths.is_empty() {
        walk(root, root, &mut paths);
    }
    assert!(!paths.is_empty(), "no file found under {}", root.display());
    paths.into_iter().filter_map(|path| read(root, path)).collect()
}

fn listed_by_git(root: &Path) -> BTreeSet<String> {
    let listing = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root)
        .output();
    match listing {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn walk(root: &Path, folder: &Path, paths: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the tree is readable") {
        let entry = entry.expect("the tree is readable");
        let name = entry.file_name();
        let path = entry.path();
        if entry.file_type().expect("a file has a type").is_dir() {
            if name != "target" && name != ".git" {
                walk(root, &path, paths);
            }
        } else if name != ".git" {
            let relative = path.strip_prefix(root).expect("the walk stays inside");
            paths.insert(relative.to_string_lossy().replace('\\', "/"));
        }
    }
}

/// `None` for what git lists and the disk does not hold: a deletion that is not committed.
fn read(root: &Path, path: String) -> Option<File> {
    let content = std::fs::read(root.join(&path)).ok()?;
    let bytes = content.len() as u64;
    Some(File { path, bytes, text: String::from_utf8(content).ok() })
}

#[test]
fn the_walk_finds_what_git_lists() {
    let root = root();
    let mut walked = BTreeSet::new();
    walk(&root, &root, &mut walked);
    for needed in ["Cargo.toml", "core/src/lib.rs", "bins/tests/it/tree.rs", ".ci/run"] {
        assert!(walked.contains(needed), "the walk misses {needed}");
        assert!(files(&root).iter().any(|file| file.path == needed), "{needed} is not listed");
    }
    assert!(!walked.iter().any(|path| path.starts_with("target/")));
}
