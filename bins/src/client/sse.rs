//! Server-sent events out of a byte stream, however it is cut.

/// Bytes of one event.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// An event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) id: Option<String>,
}

/// The event is larger than any gate sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLarge;

/// Takes bytes, gives events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    event: Event,
    filled: bool,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                events.extend(self.on_line(&String::from_utf8_lossy(&line)));
            } else {
                self.line.push(*byte);
            }
            if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return Err(TooLarge);
            }
        }
        Ok(events)
    }

    fn on_line(&mut self, line: &str) -> Option<Event> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.filled).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if self.filled {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.filled = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ": hello\n\nevent: update\nid: 7\ndata: {\"a\":\ndata:1}\r\n\r\n\
                        event: truncated\ndata: {}\n\nid: 9\n\ndata: cut";

    fn event(name: &str, data: &str, id: Option<&str>) -> Event {
        Event { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let expected = [event("update", "{\"a\":\n1}", Some("7")), event("truncated", "{}", None)];
        for size in 1..=TEXT.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for part in TEXT.as_bytes().chunks(size) {
                events.extend(parser.push(part).expect("small"));
            }
            assert_eq!(events, expected, "parts of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        let part = vec![b'a'; EVENT_BYTES_MAX / 2 + 1];
        assert_eq!(parser.push(&part), Ok(Vec::new()));
        assert_eq!(parser.push(&part), Err(TooLarge));
    }
}
