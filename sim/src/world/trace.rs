//! The trace: kept only when a case is replayed to be read. It changes no hash.

use super::World;

/// One line of a trace.
#[derive(Clone, Debug)]
pub struct Line {
    /// True time, nanoseconds.
    pub at: u64,
    /// The node's place.
    pub host: u16,
    /// What happened.
    pub text: String,
}

impl World {
    /// Keeps a line if the case is traced.
    pub(super) fn trace(&mut self, host: u16, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let mut text = text();
            if text.len() > 600 {
                let cut = (0..=600).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(cut);
                text.push('…');
            }
            lines.push(Line { at: self.now, host, text });
        }
    }
}
