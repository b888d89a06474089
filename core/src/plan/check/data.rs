//! Data sources.

use std::collections::BTreeMap;

use crate::bounded::BoundedVec;
use crate::limits;
use crate::plan::raw::{RawData, RawOrder, RawPlan};
use crate::plan::{DataSource, PlanError, RowOrder};

use super::at::At;
use super::required;

type Sources = BoundedVec<DataSource, { limits::DATA_SOURCES_MAX }>;

pub(super) fn lower(raw: &RawPlan, at: &At<'_>) -> Result<Sources, PlanError> {
    let mut sources = Vec::new();
    for (name, source) in raw.data.iter().flat_map(|data| data.iter()) {
        sources.push(lower_one(name, source, &at.key(name))?);
    }
    at.bounded(sources, "data sources")
}

fn lower_one(name: &str, raw: &RawData, at: &At<'_>) -> Result<DataSource, PlanError> {
    if raw.csv.is_some() {
        let error = at.key("csv").error("a file cannot be read here");
        return Err(error.with_hint("submit its `columns` and `rows`"));
    }
    let columns = required(raw.columns.as_ref(), "columns", at)?;
    let raw_rows = required(raw.rows.as_ref(), "rows", at)?;
    let rows_at = at.key("rows");
    let mut rows = Vec::with_capacity(raw_rows.len());
    for (place, row) in raw_rows.iter().enumerate() {
        rows.push(rows_at.index(place).bounded(row.clone(), "values")?);
    }
    Ok(DataSource {
        name: name.to_owned(),
        columns: at.key("columns").bounded(columns.clone(), "columns")?,
        rows: rows_at.bounded(rows, "rows")?,
        order: match raw.order {
            None => RowOrder::default(),
            Some(RawOrder::Sequential) => RowOrder::Sequential,
            Some(RawOrder::Random) => RowOrder::Random,
        },
    })
}

/// What must hold of data sources, whoever made them.
pub(super) fn verify(sources: &Sources, at: &At<'_>) -> Result<(), PlanError> {
    let mut names = BTreeMap::new();
    for source in sources {
        let at = at.key(&source.name);
        super::text::name(&source.name, &at)?;
        super::text::unique(&mut names, &source.name, &at)?;
        let columns_at = at.key("columns");
        columns_at.ensure(!source.columns.is_empty(), "there is no column")?;
        let mut columns = BTreeMap::new();
        for (place, column) in source.columns.iter().enumerate() {
            let at = columns_at.index(place);
            super::text::name(column, &at)?;
            super::text::unique(&mut columns, column, &at)?;
        }
        let rows_at = at.key("rows");
        rows_at.ensure(!source.rows.is_empty(), "there is no row")?;
        let (width, of) = (source.columns.len(), source.rows.iter().enumerate());
        if let Some((place, row)) = of.into_iter().find(|(_, row)| row.len() != width) {
            let found = row.len();
            let message = format!("{found} values in a row, there are {width} columns");
            return Err(rows_at.index(place).error(message));
        }
    }
    Ok(())
}
