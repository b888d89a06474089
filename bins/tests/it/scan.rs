//! Just enough of Rust's lexical structure to judge a file: which characters are code, comment or
//! literal, the tokens of the code, and where functions begin and end. It never parses types.

/// What a character belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// An identifier, a number, an arrow or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A function with a body, or a signature in a trait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of `fn` to the line of the closing brace, both included.
    pub(crate) lines: usize,
    /// Without `self`.
    pub(crate) parameters: usize,
}

/// The text with everything but code blanked out; lines keep their numbers.
pub(crate) fn code(text: &str) -> String {
    keep(text, Kind::Code)
}

/// The text with everything but comments blanked out; lines keep their numbers.
pub(crate) fn comments(text: &str) -> String {
    keep(text, Kind::Comment)
}

fn keep(text: &str, wanted: Kind) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (kind, end) = piece(&chars, at);
        let shown = |c: &char| if kind == wanted || *c == '\n' { *c } else { ' ' };
        kept.extend(chars[at..end].iter().map(shown));
        at = end;
    }
    kept
}

/// The kind of what starts at `at`, and where it ends.
fn piece(chars: &[char], at: usize) -> (Kind, usize) {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => {
            let rest = chars[at..].iter().position(|c| *c == '\n');
            (Kind::Comment, rest.map_or(chars.len(), |length| at + length))
        }
        '/' if next == Some('*') => (Kind::Comment, block_comment_end(chars, at)),
        '"' => (Kind::Literal, quoted_end(chars, at, '"')),
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => {
            (Kind::Literal, quoted_end(chars, at, '\''))
        }
        'r' | 'b' | 'c' => match raw_string_end(chars, at) {
            Some(end) => (Kind::Literal, end),
            None => (Kind::Code, at + 1),
        },
        _ => (Kind::Code, at + 1),
    }
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    // The first character between single quotes may itself be a quote only when escaped.
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The end of the raw string that starts at `at`, if one does.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    if at > 0 && is_word(chars[at - 1]) {
        return None;
    }
    let mut i = at;
    if matches!(chars[i], 'b' | 'c') {
        i += 1;
    }
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    let closes =
        |end: &usize| chars[*end] == '"' && chars[*end + 1..].iter().take(hashes).all(is_hash);
    let quote = (i + 1..chars.len().saturating_sub(hashes)).find(closes);
    Some(quote.map_or(chars.len(), |end| end + 1 + hashes))
}

fn is_hash(c: &char) -> bool {
    *c == '#'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of the code of `text`.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (number, line) in code(text).lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("->") || rest.starts_with("=>") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            tokens.push(Token { line: number + 1, text: token.to_owned() });
            rest = after.trim_start();
        }
    }
    tokens
}

/// The functions named in `tokens`, nested ones included.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    (0..tokens.len()).filter_map(|at| function(tokens, at)).collect()
}

fn function(tokens: &[Token], at: usize) -> Option<Function> {
    let text = |i: usize| tokens.get(i).map(|token| token.text.as_str());
    let name = text(at + 1)?;
    if text(at) != Some("fn") || !name.starts_with(is_word) {
        return None;
    }
    let open = match text(at + 2) {
        Some("<") => closing(tokens, at + 2)? + 1,
        _ => at + 2,
    };
    if text(open) != Some("(") {
        return None;
    }
    let close = closing(tokens, open)?;
    let mut last = close + 1;
    while !matches!(text(last)?, "{" | ";") {
        let nested = matches!(text(last)?, "(" | "[");
        last = if nested { closing(tokens, last)? + 1 } else { last + 1 };
    }
    if text(last) == Some("{") {
        last = closing(tokens, last)?;
    }
    let line = tokens[at].line;
    let lines = tokens[last].line - line + 1;
    let parameters = parameters(&tokens[open + 1..close]);
    Some(Function { name: name.to_owned(), line, lines, parameters })
}

/// How many parameters other than `self` stand between the parentheses of a signature.
fn parameters(tokens: &[Token]) -> usize {
    let mut depth = 0;
    let parts = tokens.split(|token| {
        match token.text.as_str() {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" | ">" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    let is_self = |part: &[Token]| {
        part.iter().take_while(|token| token.text != ":").any(|token| token.text == "self")
    };
    parts.filter(|part| !part.is_empty() && !is_self(part)).count()
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let opener = tokens[open].text.as_str();
    let closer = match opener {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        _ => ">",
    };
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.text == opener {
            depth += 1;
        } else if token.text == closer {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Whether the tokens from `at` on read `expected`.
pub(crate) fn reads(tokens: &[Token], at: usize, expected: &[&str]) -> bool {
    let found = tokens.iter().skip(at).map(|token| token.text.as_str());
    found.take(expected.len()).eq(expected.iter().copied())
}

/// How many lines the `#[cfg(test)] mod tests { .. }` blocks take.
pub(crate) fn test_lines(tokens: &[Token]) -> usize {
    let mut lines = 0;
    for at in 0..tokens.len() {
        if !reads(tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            continue;
        }
        let mut item = at;
        while reads(tokens, item, &["#", "["]) {
            let Some(end) = closing(tokens, item + 1) else { return lines };
            item = end + 1;
        }
        if reads(tokens, item, &["mod", "tests", "{"])
            && let Some(end) = closing(tokens, item + 2)
        {
            lines += tokens[end].line - tokens[at].line + 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn literals_and_comments_are_not_code() {
        let cases = [
            (r#"a("{ \" }") b"#, "a ( ) b"),
            (r##"a(r#"{ " }"#) b"##, "a ( ) b"),
            (r###"a(br##"{ "# }"##) b"###, "a ( ) b"),
            ("a(r\"\\\") b", "a ( ) b"),
            ("a('{', '\\'', '\"', b'}') b", "a ( , , , b ) b"),
            ("a<'a>(&'a str, 'x') b", "a < ' a > ( & ' a str , ) b"),
            ("a // { fn\nb", "a b"),
            ("a /* { /* nested */ } */ b", "a b"),
            ("r#type br cr b", "r # type br cr b"),
            ("for r in \"\" {}", "for r in { }"),
            ("a \"unterminated {", "a"),
            ("a /* unterminated {", "a"),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).join(" "), expected, "in {text}");
        }
    }

    #[test]
    fn comments_are_found_and_strings_are_not_comments() {
        let text = "let a = \"// not\"; // yes\n/* also */ b";
        let found = comments(text);
        assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), "// yes /* also */");
        assert_eq!(found.lines().count(), 2);
    }

    #[test]
    fn functions_are_measured() {
        let text = "impl A {
                fn one<F: Fn(u8, u8) -> u8>(&'a mut self, f: F, (x, y): (u8, u8))
                -> [u8; 2]
                where
                    F: Copy,
                {
                    { '}' }
                }
            }
            trait T { fn two(self: Box<Self>, a: BTreeMap<u8, (u8, u8)>,); }
            type P = fn(u8, u8);
            fn r#none() {}";
        let found = functions(&tokens(text));
        let one = Function { name: "one".to_owned(), line: 2, lines: 7, parameters: 2 };
        let two = Function { name: "two".to_owned(), line: 10, lines: 1, parameters: 1 };
        assert_eq!(found[..2], [one, two]);
    }

    #[test]
    fn only_inline_test_modules_are_test_lines() {
        let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        assert_eq!(test_lines(&tokens(text)), 5);
        assert_eq!(test_lines(&tokens("#[cfg(test)]\nmod tests;\nfn a() {}\n")), 0);
        assert_eq!(test_lines(&tokens("#[cfg(test)]\nfn a() {}\nmod tests {}\n")), 0);
    }
}
