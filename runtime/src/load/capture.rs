//! Values taken out of a response for later steps of the same iteration.

use hyperscale_core::plan::JsonKey;
use serde_json::Value;

/// Appends the value at `path` as text: strings without their quotes, other values as JSON.
/// Whether there is one; `null` counts as absent.
pub(super) fn json(body: &Value, path: &[JsonKey], out: &mut Vec<u8>) -> bool {
    let found = path.iter().try_fold(body, |value, key| match key {
        JsonKey::Key(key) => value.get(key),
        JsonKey::Index(at) => value.get(*at as usize),
    });
    match found {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => {
            out.extend_from_slice(text.as_bytes());
            true
        }
        Some(other) => serde_json::to_writer(out, other).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_keys_and_indexes() {
        let body = serde_json::json!({ "a": { "b": [1, "x\"y", null, { "c": true }] } });
        let found = |path: &[&str]| {
            let path: Vec<_> = path
                .iter()
                .map(|key| match key.parse() {
                    Ok(at) => JsonKey::Index(at),
                    Err(_) => JsonKey::Key((*key).to_owned()),
                })
                .collect();
            let mut out = Vec::new();
            json(&body, &path, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(found(&["a", "b", "0"]).as_deref(), Some("1"));
        assert_eq!(found(&["a", "b", "1"]).as_deref(), Some("x\"y"));
        assert_eq!(found(&["a", "b", "3"]).as_deref(), Some("{\"c\":true}"));
        assert_eq!(found(&["a", "b", "2"]), None);
        assert_eq!(found(&["a", "b", "4"]), None);
        assert_eq!(found(&["a", "0"]), None);
    }
}
