//! Texts with holes: `${row.user}`, `${token}`, `${iteration}`, `${vu}`; `$${` stands for `${`.

use std::collections::BTreeMap;

use crate::plan::raw::RawJson;
use crate::plan::{DataSource, Piece, PlanError, Template};

use super::at::At;

/// The names that templates of one step may use.
pub(super) struct Scope<'a> {
    /// Every data source of the plan.
    pub(super) data: &'a [DataSource],
    /// What earlier steps captured, with its slot.
    pub(super) captured: BTreeMap<&'a str, u16>,
    /// What any step of the flow captures.
    pub(super) later: Vec<&'a str>,
}

/// Names that a template uses for what every iteration has.
pub(super) const BUILT_IN: [&str; 2] = ["iteration", "vu"];

/// How the written parts of a text are encoded. Holes are encoded when they are filled.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    AsWritten,
    Json,
    Form,
}

/// A template under construction; adjacent texts are one piece.
#[derive(Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    pub(super) fn literal(&mut self, text: &str) {
        if let Some(Piece::Text(last)) = self.0.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.0.push(Piece::Text(text.to_owned()));
        }
    }

    /// Appends what the user wrote.
    pub(super) fn text(
        &mut self,
        text: &str,
        encoding: Encoding,
        scope: &Scope<'_>,
        at: &At<'_>,
    ) -> Result<(), PlanError> {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                self.literal(&encoded(before, encoding));
                self.literal(&encoded("${", encoding));
                rest = after;
                continue;
            }
            self.literal(&encoded(before, encoding));
            let Some((name, after)) = after.split_once('}') else {
                let error = at.error("`${` is not closed");
                return Err(error.with_hint("write `$${` for the characters themselves"));
            };
            self.0.push(hole(name.trim(), scope, at)?);
            rest = after;
        }
        self.literal(&encoded(rest, encoding));
        Ok(())
    }

    /// Appends `value` as JSON. Whoever built it bounded its depth.
    pub(super) fn json(
        &mut self,
        value: &RawJson,
        scope: &Scope<'_>,
        at: &At<'_>,
    ) -> Result<(), PlanError> {
        match value {
            RawJson::Null => self.literal("null"),
            RawJson::Bool(true) => self.literal("true"),
            RawJson::Bool(false) => self.literal("false"),
            RawJson::Natural(number) => self.literal(&number.to_string()),
            RawJson::Negative(number) => self.literal(&number.to_string()),
            RawJson::Decimal(digits) => self.literal(digits),
            RawJson::Text(text) => self.quoted(text, scope, at)?,
            RawJson::List(items) => {
                self.literal("[");
                for (place, item) in items.iter().enumerate() {
                    self.literal(if place == 0 { "" } else { "," });
                    self.json(item, scope, &at.index(place))?;
                }
                self.literal("]");
            }
            RawJson::Object(members) => {
                self.literal("{");
                for (place, (name, member)) in members.iter().enumerate() {
                    self.literal(if place == 0 { "" } else { "," });
                    self.quoted(name, scope, &at.key(name))?;
                    self.literal(":");
                    self.json(member, scope, &at.key(name))?;
                }
                self.literal("}");
            }
        }
        Ok(())
    }

    fn quoted(&mut self, text: &str, scope: &Scope<'_>, at: &At<'_>) -> Result<(), PlanError> {
        self.literal("\"");
        self.text(text, Encoding::Json, scope, at)?;
        self.literal("\"");
        Ok(())
    }

    pub(super) fn template(self, at: &At<'_>) -> Result<Template, PlanError> {
        at.bounded(self.0, "pieces of text and holes").map(Template)
    }
}

fn hole(name: &str, scope: &Scope<'_>, at: &At<'_>) -> Result<Piece, PlanError> {
    match name {
        "iteration" => return Ok(Piece::Index),
        "vu" => return Ok(Piece::Vu),
        _ => {}
    }
    if let Some(slot) = scope.captured.get(name) {
        return Ok(Piece::Captured(*slot));
    }
    if scope.later.contains(&name) {
        return Err(at.error(format_args!("`${{{name}}}` is used before it is captured")));
    }
    let row = name.split_once('.').and_then(|(source, column)| {
        let (place, source) = scope.data.iter().enumerate().find(|(_, s)| s.name == source)?;
        let column = source.columns.iter().position(|known| known == column)?;
        Some(Piece::Row { source: u16::try_from(place).ok()?, column: u16::try_from(column).ok()? })
    });
    row.ok_or_else(|| unknown(name, scope, at))
}

fn unknown(name: &str, scope: &Scope<'_>, at: &At<'_>) -> PlanError {
    let rows = scope.data.iter().flat_map(|source| {
        source.columns.iter().map(move |column| format!("{}.{column}", source.name))
    });
    let rows: Vec<String> = rows.collect();
    let names = rows.iter().map(String::as_str).chain(scope.captured.keys().copied());
    at.error(format_args!("unknown name `${{{name}}}`")).with_nearest(name, names.chain(BUILT_IN))
}

fn encoded(text: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::AsWritten => text.to_owned(),
        Encoding::Json => text.chars().fold(String::new(), |mut out, c| {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
            out
        }),
        Encoding::Form => text.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b' ' => out.push('+'),
                b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
                byte => out.push_str(&format!("%{byte:02X}")),
            }
            out
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, encoding: Encoding) -> Result<Vec<Piece>, PlanError> {
        let scope = Scope {
            data: &[],
            captured: BTreeMap::from([("token", 3)]),
            later: vec!["token", "next"],
        };
        let mut pieces = Pieces::default();
        pieces.text(text, encoding, &scope, &At::ROOT)?;
        Ok(pieces.0)
    }

    fn literal(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn texts_are_cut_at_their_holes() {
        let cut = |text| pieces(text, Encoding::AsWritten).unwrap();
        assert_eq!(cut(""), []);
        assert_eq!(cut("/a"), [literal("/a")]);
        assert_eq!(cut("${vu}"), [Piece::Vu]);
        let expected = [literal("/"), Piece::Index, literal("-"), Piece::Captured(3)];
        assert_eq!(cut("/${iteration}-${ token }"), expected);
        assert_eq!(cut("a$${b} $5"), [literal("a${b} $5")]);
    }

    #[test]
    fn written_parts_are_encoded() {
        let encode = |text, encoding| pieces(text, encoding).unwrap();
        assert_eq!(encode("a \"\\\n\u{1}é", Encoding::Json), [literal("a \\\"\\\\\\n\\u0001é")]);
        assert_eq!(encode("a b&=é*", Encoding::Form), [literal("a+b%26%3D%C3%A9*")]);
    }

    #[test]
    fn unknown_names_are_refused() {
        let refusal = |text| pieces(text, Encoding::AsWritten).unwrap_err().to_string();
        assert_eq!(refusal("${tokn}"), "unknown name `${tokn}`, did you mean `token`?");
        assert_eq!(refusal("${row.user}"), "unknown name `${row.user}`");
        assert_eq!(refusal("${next}"), "`${next}` is used before it is captured");
        assert!(refusal("${vu").starts_with("`${` is not closed"));
    }
}
