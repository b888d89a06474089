//! Who may depend on whom. What is asserted is what Cargo resolves, not what manifests say.

use crate::tree;
use std::collections::BTreeSet;
use std::process::Command;

/// What a package may never link, directly or through others.
struct Never {
    package: &'static str,
    crates: &'static [&'static str],
}

const NEVER: &[Never] = &[
    Never {
        package: "hyperscale-core",
        crates: &[
            "tokio",
            "rand",
            "getrandom",
            "libc",
            "socket2",
            "mio",
            "rustix",
            "sim",
            "hyperscale-runtime",
            "hyperscale",
        ],
    },
    Never { package: "sim", crates: &["tokio", "hyperscale-runtime", "hyperscale"] },
    Never { package: "hyperscale-runtime", crates: &["sim", "hyperscale"] },
    Never { package: "hyperscale", crates: &["sim"] },
];

/// The only crates that core may name.
const CORE_DIRECT: &[&str] =
    &["bincode", "hdrhistogram", "rand_chacha", "serde", "slab", "thiserror", "tracing"];

/// The only crates that the simulator may name.
const SIM_DIRECT: &[&str] = &["clap", "hyperscale-core", "mimalloc", "serde", "serde_json", "slab"];

/// The crates that `package` links or builds with, itself left out; all of them, or only those it
/// names.
fn dependencies(package: &str, direct: bool) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--offline", "-p", package, "-e", "normal,build"]);
    command.args(["--prefix", "none", "--color", "never"]).current_dir(tree::root());
    if direct {
        command.args(["--depth", "1"]);
    }
    let output = command.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree -p {package}: {errors}");
    names(package, &String::from_utf8_lossy(&output.stdout))
}

/// The crates in a listing of `cargo tree --prefix none`, without `package` that heads it.
fn names(package: &str, listing: &str) -> BTreeSet<String> {
    let mut lines = listing.lines().filter_map(|line| line.split_whitespace().next());
    assert_eq!(lines.next(), Some(package), "the listing is headed by its package");
    lines.map(str::to_owned).collect()
}

fn forbidden<'a>(linked: &'a BTreeSet<String>, never: &[&str]) -> Vec<&'a str> {
    linked.iter().map(String::as_str).filter(|name| never.contains(name)).collect()
}

fn unlisted<'a>(named: &'a BTreeSet<String>, allowed: &[&str]) -> Vec<&'a str> {
    named.iter().map(String::as_str).filter(|name| !allowed.contains(name)).collect()
}

#[test]
fn no_package_links_what_it_must_not() {
    for Never { package, crates } in NEVER {
        let linked = dependencies(package, false);
        assert!(linked.contains("serde"), "{package}: the listing is empty");
        assert_eq!(forbidden(&linked, crates), [""; 0], "{package} links them");
    }
}

#[test]
fn core_and_sim_name_only_the_crates_of_their_lists() {
    for (package, allowed) in [("hyperscale-core", CORE_DIRECT), ("sim", SIM_DIRECT)] {
        let named = dependencies(package, true);
        assert!(named.contains("serde"), "{package}: the listing is empty");
        assert_eq!(unlisted(&named, allowed), [""; 0], "{package} names them");
    }
}

#[test]
fn a_forbidden_or_unlisted_crate_is_seen() {
    let listing =
        "sim v0.1.0 (/a/sim)\nserde v1.0.0\ntokio v1.0.0 (*)\ntokio-util v1.0.0\n\nrand v1";
    let linked = names("sim", listing);
    assert_eq!(forbidden(&linked, &["tokio", "libc"]), ["tokio"]);
    assert_eq!(unlisted(&linked, &["serde", "tokio"]), ["rand", "tokio-util"]);
}

#[test]
fn the_rule_bites_on_a_real_listing() {
    let linked = dependencies("hyperscale-runtime", false);
    assert_eq!(forbidden(&linked, &["tokio", "sim"]), ["tokio"]);
}
