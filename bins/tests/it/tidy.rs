//! The shape of the tree: sizes, names, words, and what stands at the root.

use crate::scan::{self, Token};
use crate::tree::{self, File};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const PARAMETERS_MAX: usize = 5;
const LINE_CHARS_MAX: usize = 100;
const MAP_LINES_MAX: usize = 200;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Files that may be longer than `FILE_LINES_MAX`, with their exact length without tests. A file
/// that grew fails, and so does one that shrank until its entry is lowered or removed.
const RATCHET: &[(&str, usize)] = &[];

const ROOT_FOLDERS: &[&str] = &["core", "runtime", "sim", "bins", "fuzz"];

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "core/INVARIANTS.md",
];

/// Spelt in halves so that this file passes its own check.
const BANNED_WORDS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("dbg", "!")];

/// A comment describes what is; what was belongs to the log. The line is padded with spaces.
const HISTORY_WORDS: &[&str] = &[" instead of ", " previously", " used to "];

/// The one file that may name the codec's crate.
const CODEC: &str = "core/src/wire/codec.rs";

/// Everything that is wrong with one file, as `path:line: finding`.
fn findings(file: &File, ratchet: &[(&str, usize)]) -> Vec<String> {
    let mut found = Vec::new();
    if file.bytes > FILE_BYTES_MAX {
        found.push(format!("{}: {} bytes, at most {FILE_BYTES_MAX}", file.path, file.bytes));
    }
    let root_folder = file.path.split_once('/').map(|(folder, _)| folder);
    if root_folder.is_some_and(|name| !name.starts_with('.') && !ROOT_FOLDERS.contains(&name)) {
        found.push(format!("{}: only {ROOT_FOLDERS:?} stand at the root", file.path));
    }
    let Some(text) = &file.text else { return found };
    if file.path == "ARCHITECTURE.md" && text.lines().count() > MAP_LINES_MAX {
        found.push(format!("{}: a map has at most {MAP_LINES_MAX} lines", file.path));
    }
    let mut lined: Vec<(usize, String)> = banned_words(text);
    if file.path.ends_with(".rs") {
        let tokens = scan::tokens(text);
        found.extend(length_finding(&file.path, text, &tokens, ratchet));
        lined.extend(wide_lines(text));
        lined.extend(function_findings(&tokens));
        lined.extend(name_findings(&file.path, &tokens));
        lined.extend(type_findings(&file.path, &tokens));
        if file.path.contains("/src/") {
            lined.extend(history(text));
        }
    }
    found.extend(lined.into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.path)));
    found
}

fn banned_words(text: &str) -> Vec<(usize, String)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in BANNED_WORDS {
            let whole = line.match_indices(word).any(|(at, _)| {
                let after = line[at + word.len()..].chars().next();
                !line[..at].ends_with(is_word)
                    && (word.ends_with('!') || !after.is_some_and(is_word))
            });
            if whole {
                found.push((number + 1, format!("the word {word}")));
            }
        }
    }
    found
}

fn length_finding(
    path: &str,
    text: &str,
    tokens: &[Token],
    ratchet: &[(&str, usize)],
) -> Option<String> {
    let exempt = |part: &str| matches!(part, "tests" | "tests.rs" | "benches");
    if path.split('/').any(exempt) {
        return None;
    }
    let lines = text.lines().count() - scan::test_lines(tokens);
    let allowed = ratchet.iter().find(|(exception, _)| *exception == path).map(|(_, lines)| *lines);
    match allowed {
        None if lines > FILE_LINES_MAX => {
            Some(format!("{path}: {lines} lines without tests, at most {FILE_LINES_MAX}"))
        }
        Some(allowed) if lines > allowed => {
            Some(format!("{path}: {lines} lines without tests, its exception is {allowed}"))
        }
        Some(_) if lines <= FILE_LINES_MAX => Some(format!("{path}: remove its exception")),
        Some(allowed) if lines < allowed => {
            Some(format!("{path}: lower its exception from {allowed} to {lines}"))
        }
        _ => None,
    }
}

fn wide_lines(text: &str) -> Vec<(usize, String)> {
    let widths = text.lines().enumerate().map(|(number, line)| (number + 1, line.chars().count()));
    let wide = widths.filter(|(_, width)| *width > LINE_CHARS_MAX);
    wide.map(|(line, width)| (line, format!("{width} characters, at most {LINE_CHARS_MAX}")))
        .collect()
}

fn function_findings(tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for function in scan::functions(tokens) {
        let name = &function.name;
        if function.lines > FUNCTION_LINES_MAX {
            let what = format!("{name}: {} lines, at most {FUNCTION_LINES_MAX}", function.lines);
            found.push((function.line, what));
        }
        if function.parameters > PARAMETERS_MAX {
            let what =
                format!("{name}: {} parameters, at most {PARAMETERS_MAX}", function.parameters);
            found.push((function.line, what));
        }
        if name.starts_with("get_") {
            found.push((function.line, format!("{name}: name what it gives")));
        }
    }
    found
}

fn name_findings(path: &str, tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if path.split('/').any(|part| matches!(part, "utils" | "utils.rs")) {
        found.push((1, "utils: name the module after what it does".to_owned()));
    }
    for pair in tokens.windows(2) {
        let (keyword, name, line) = (pair[0].text.as_str(), pair[1].text.as_str(), pair[1].line);
        match keyword {
            "mod" if name == "utils" => {
                found.push((line, "utils: name the module after what it does".to_owned()));
            }
            "struct" | "enum" | "trait" | "type" | "union"
                if name.ends_with("Manager") && name != "Manager" =>
            {
                found.push((line, format!("{name}: a manager is a role of the cluster")));
            }
            _ => {}
        }
    }
    found
}

/// Types and crates that the folder of `path` may not name.
fn type_findings(path: &str, tokens: &[Token]) -> Vec<(usize, String)> {
    let deterministic = path.starts_with("core/src/") || path.starts_with("sim/src/");
    let codec_only = path.contains("/src/") && path != CODEC;
    let banned = |name: &str| match name {
        "HashMap" | "HashSet" | "Rc" => deterministic,
        "bincode" => codec_only,
        _ => false,
    };
    let hits = tokens.iter().filter(|token| banned(&token.text));
    hits.map(|token| (token.line, format!("{} may not be named here", token.text))).collect()
}

fn history(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in scan::comments(text).lines().enumerate() {
        let padded = format!(" {} ", line.trim().trim_start_matches(['/', '!']).trim());
        let lower = padded.to_lowercase();
        for word in HISTORY_WORDS.iter().filter(|word| lower.contains(**word)) {
            found.push((number + 1, format!("a comment tells history:{word}")));
        }
    }
    found
}

fn missing<'a>(files: &[File], needed: impl Iterator<Item = &'a str>) -> Vec<String> {
    let absent = needed.filter(|path| !files.iter().any(|file| file.path == *path));
    absent.map(|path| format!("{path}: does not exist")).collect()
}

#[test]
fn the_tree_is_tidy() {
    let files = tree::files(&tree::root());
    let mut found: Vec<String> = files.iter().flat_map(|file| findings(file, RATCHET)).collect();
    let needed = DOCUMENTS.iter().copied().chain(RATCHET.iter().map(|(path, _)| *path));
    found.extend(missing(&files, needed));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

mod can_fail {
    use super::*;

    fn judged(path: &str, text: &str) -> String {
        judged_with(path, text, &[])
    }

    fn judged_with(path: &str, text: &str, ratchet: &[(&str, usize)]) -> String {
        let (path, text) = (path.to_owned(), text.to_owned());
        let file = File { path, bytes: text.len() as u64, text: Some(text) };
        findings(&file, ratchet).join("\n")
    }

    #[track_caller]
    fn check(path: &str, text: &str, expected: &str) {
        assert_eq!(judged(path, text), expected, "{path} with {text}");
    }

    #[test]
    fn lengths_of_files() {
        let long = "//\n".repeat(501);
        check("core/src/a.rs", &long, "core/src/a.rs: 501 lines without tests, at most 500");
        for exempt in ["core/src/tests.rs", "bins/tests/it/a.rs", "core/benches/a.rs", "core/a.md"]
        {
            check(exempt, &long, "");
        }
        let tested = "//\n".repeat(499) + "#[cfg(test)]\nmod tests {\n//\n}\n";
        check("core/src/a.rs", &tested, "");
        let after = tested + "//\n//\n";
        check("core/src/a.rs", &after, "core/src/a.rs: 501 lines without tests, at most 500");
    }

    #[test]
    fn exceptions_only_shrink() {
        let judge = |lines: usize, allowed| {
            judged_with("core/src/a.rs", &"//\n".repeat(lines), &[("core/src/a.rs", allowed)])
        };
        assert_eq!(judge(600, 600), "");
        assert_eq!(judge(601, 600), "core/src/a.rs: 601 lines without tests, its exception is 600");
        assert_eq!(judge(599, 600), "core/src/a.rs: lower its exception from 600 to 599");
        assert_eq!(judge(500, 600), "core/src/a.rs: remove its exception");
        assert_eq!(missing(&[], ["a"].into_iter()), ["a: does not exist"]);
    }

    #[test]
    fn functions() {
        let body = |lines: usize| format!("fn a() {{\n{}}}\n", "let a = '{';\n".repeat(lines - 2));
        check("core/src/a.rs", &body(70), "");
        check("core/src/a.rs", &body(71), "core/src/a.rs:1: a: 71 lines, at most 70");
        check("core/src/a.rs", "fn a(&self, a: A, b: B, c: C, d: D, e: E) {}", "");
        let six = "\nfn a(a: A, b: B, c: C, d: D, e: E, f: F) {}";
        check("core/src/a.rs", six, "core/src/a.rs:2: a: 6 parameters, at most 5");
        check("core/src/a.rs", "fn get_a();", "core/src/a.rs:1: get_a: name what it gives");
    }

    #[test]
    fn names() {
        let what = "utils: name the module after what it does";
        check("core/src/a.rs", "mod utils;", &format!("core/src/a.rs:1: {what}"));
        check("core/src/utils.rs", "", &format!("core/src/utils.rs:1: {what}"));
        check("core/src/utils/a.rs", "", &format!("core/src/utils/a.rs:1: {what}"));
        let type_ = "core/src/a.rs:1: JobManager: a manager is a role of the cluster";
        check("core/src/a.rs", "struct JobManager;", type_);
        check("core/src/a.rs", "struct Manager; enum ManagerId {}", "");
    }

    #[test]
    fn widths() {
        check("bins/src/a.rs", &"/".repeat(100), "");
        check("bins/src/a.rs", &"é".repeat(100), "");
        check("bins/src/a.rs", &"/".repeat(101), "bins/src/a.rs:1: 101 characters, at most 100");
    }

    #[test]
    fn words() {
        for word in BANNED_WORDS {
            let text = format!("\na {word}(b)");
            check("sim/a.md", &text, &format!("sim/a.md:2: the word {word}"));
        }
        let longer = format!("{0}{0} {0}_a a_{0}", BANNED_WORDS[2]);
        check("sim/a.md", &longer, "");
    }

    #[test]
    fn types_of_a_folder() {
        for name in ["HashMap", "HashSet", "Rc"] {
            let text = format!("use std::a::{name};\n// {name}\n");
            let finding = |path| format!("{path}:1: {name} may not be named here");
            check("core/src/a.rs", &text, &finding("core/src/a.rs"));
            check("sim/src/a/b.rs", &text, &finding("sim/src/a/b.rs"));
            check("runtime/src/a.rs", &text, "");
        }
        let text = "use bincode::config;";
        check(CODEC, text, "");
        check("core/src/a.rs", text, "core/src/a.rs:1: bincode may not be named here");
        check("runtime/src/a.rs", text, "runtime/src/a.rs:1: bincode may not be named here");
    }

    #[test]
    fn comments_that_tell_history() {
        for word in HISTORY_WORDS {
            let text = format!("let a = 1; //{word}b\n/// A.\n//{}", word.trim_end());
            let finding = |line| format!("core/src/a.rs:{line}: a comment tells history:{word}");
            check("core/src/a.rs", &text, &format!("{}\n{}", finding(1), finding(3)));
            check("core/src/a.rs", &format!("let a = \"//{word}\";"), "");
        }
    }

    #[test]
    fn root_and_sizes() {
        assert!(judged("tools/a.py", "").ends_with("stand at the root"));
        assert!(judged("xtask/src/a.rs", "").ends_with("stand at the root"));
        check(".ci/run", "", "");
        check("Cargo.toml", "", "");
        let map = |lines: usize| judged("ARCHITECTURE.md", &"a\n".repeat(lines));
        assert_eq!(map(200), "");
        assert_eq!(map(201), "ARCHITECTURE.md: a map has at most 200 lines");
        let blob = |bytes| File { path: "core/a".to_owned(), bytes, text: None };
        assert_eq!(findings(&blob(1 << 20), &[]).len(), 0);
        assert_eq!(findings(&blob((1 << 20) + 1), &[]).len(), 1);
    }
}
