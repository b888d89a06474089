//! Rows of CSV files, put into the plan that names them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use hyperscale_core::limits;
use hyperscale_core::plan::raw::{RawData, RawPlan};
use hyperscale_core::plan::{PathPart, PlanError};

/// Replaces every `csv` of `raw` by the columns and rows of that file, found relative to `folder`.
pub(super) fn inline(raw: &mut RawPlan, folder: &Path) -> Result<(), PlanError> {
    for (name, data) in raw.data.iter_mut().flat_map(|sources| sources.iter_mut()) {
        inline_one(data, folder).map_err(|(field, message)| {
            let path = ["data", name, field].map(|key| PathPart::Key(key.to_owned()));
            PlanError { path: path.to_vec(), message, hint: None }
        })?;
    }
    Ok(())
}

fn inline_one(data: &mut RawData, folder: &Path) -> Result<(), (&'static str, String)> {
    let Some(csv) = data.csv.take() else { return Ok(()) };
    for (field, given) in [("columns", data.columns.is_some()), ("rows", data.rows.is_some())] {
        if given {
            return Err((field, format!("`csv` is given too, `{csv}` has them")));
        }
    }
    let path = folder.join(csv);
    let (columns, rows) = read(&path)
        .map_err(|error| ("csv", format!("cannot read `{}`: {error}", path.display())))?;
    data.columns = Some(columns);
    data.rows = Some(rows);
    Ok(())
}

type Table = (Vec<String>, Vec<Vec<String>>);

fn read(path: &Path) -> Result<Table, csv::Error> {
    // What is longer cannot fit into a plan, whatever its columns.
    let max = 2 * limits::PLAN_BYTES_MAX as u64;
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    if file.metadata()?.len() > max {
        let message = format!("the file has more than {max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message).into());
    }
    let mut reader = csv::Reader::from_reader(file.take(max));
    let columns = reader.headers()?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() == limits::ROWS_MAX {
            let message = format!("the file has more than {} rows", limits::ROWS_MAX);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message).into());
        }
        rows.push(record?.iter().map(str::to_owned).collect());
    }
    Ok((columns, rows))
}
