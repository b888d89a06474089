//! Where captured values are found: `$.a.b[0]` or `header:Name`.

use crate::plan::{CaptureFrom, JsonKey, PlanError};

use super::at::At;

const NOTATION: &str = "write `$.path.to[0].value` or `header:Name`";

pub(super) fn parse(text: &str, at: &At<'_>) -> Result<CaptureFrom, PlanError> {
    if let Some(name) = text.strip_prefix("header:") {
        return Ok(CaptureFrom::Header(name.trim().to_ascii_lowercase()));
    }
    let wrong = || at.error(format_args!("`{text}` finds nothing")).with_hint(NOTATION);
    let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let (key, tail) = next_key(rest).ok_or_else(wrong)?;
        keys.push(key);
        rest = tail;
    }
    Ok(CaptureFrom::Json(at.bounded(keys, "keys in a path")?))
}

fn next_key(rest: &str) -> Option<(JsonKey, &str)> {
    if let Some(rest) = rest.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let plain = !key.is_empty() && !key.contains(']');
        return plain.then(|| (JsonKey::Key(key.to_owned()), tail));
    }
    let rest = rest.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(rest) = rest.strip_prefix(quote) {
            let (key, tail) = rest.split_once(quote)?;
            return Some((JsonKey::Key(key.to_owned()), tail.strip_prefix(']')?));
        }
    }
    let (index, tail) = rest.split_once(']')?;
    Some((JsonKey::Index(index.parse().ok()?), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let key = |key: &str| JsonKey::Key(key.to_owned());
        let cases = [
            ("$.token", vec![key("token")]),
            ("$.a.b[0].c", vec![key("a"), key("b"), JsonKey::Index(0), key("c")]),
            ("$['a.b'][\"c\"][7]", vec![key("a.b"), key("c"), JsonKey::Index(7)]),
        ];
        for (text, keys) in cases {
            let expected = CaptureFrom::Json(keys.try_into().unwrap());
            assert_eq!(parse(text, &At::ROOT), Ok(expected), "{text}");
        }
        let header = CaptureFrom::Header("x-request-id".to_owned());
        assert_eq!(parse("header: X-Request-Id", &At::ROOT), Ok(header));
        for text in ["", "token", "$.", "$a", "$.a..b", "$[", "$[a]", "$[-1]", "$['a]", "$.a]"] {
            assert!(parse(text, &At::ROOT).is_err(), "{text}");
        }
    }
}
