//! Common table expressions: which rows are used, and the columns of C on them.
//!
//! ```text
//! tiers_given     the columns of the table that the model needs, as numbers r_0, r_1, … or labels, and the weight
//! tiers_present   whether none of them is missing
//! tiers_computed  the expressions e_0, e_1, …
//! tiers_complete  whether all expressions are numbers, too: the complete cases
//! tiers_used      whether all levels of factors are listed, too
//! tiers_columns   the columns of C, c_0, c_1, …; null on rows that are not used
//! ```
//!
//! Null, not a condition, keeps rows out of the sums, so that one scan of the table also counts what is left out.

use crate::dialect::Dialect;
use crate::error::SqlError;
use crate::expression::{Expressions, bare};
use crate::script::Query;
use tiers_design::{Atom, ColumnSpec, Expr, Factor, Kind, Recipe, Role};

/// The rows of a query, as SQL.
pub(crate) struct Rows<'a> {
    query: &'a Query<'a>,
    recipe: &'a Recipe,
    dialect: Dialect,
    /// The distinct expressions that are not just a column: as written and in SQL.
    expressions: Vec<(String, String)>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(query: &'a Query<'a>) -> Result<Rows<'a>, SqlError> {
        let mut rows = Rows { query, recipe: query.recipe, dialect: query.dialect, expressions: Vec::new() };
        let numbers = query.recipe.columns.iter().flat_map(|column| &column.atoms).filter_map(|atom| match atom {
            Atom::Number(expr) => Some(expr),
            Atom::Indicator { .. } => None,
        });
        for expr in numbers.chain([&query.recipe.response]).chain(&query.recipe.offsets) {
            let sql = rows.sql(expr)?;
            let is_column = matches!(bare(expr), Expr::Column(_));
            if !is_column && !rows.expressions.iter().any(|(_, known)| *known == sql) {
                rows.expressions.push((expr.to_string(), sql));
            }
        }
        Ok(rows)
    }

    fn sql(&self, expr: &Expr) -> Result<String, SqlError> {
        let column = |name: &str| {
            let is_it = |r: &tiers_design::Request| r.column == name && r.role == Role::Number;
            let found = self.recipe.requests.iter().position(is_it);
            alias(found.expect("a recipe requests the columns of its expressions"))
        };
        Expressions { dialect: self.dialect, column: &column }.sql(expr)
    }

    /// Returns the alias of an expression: of its column, or of what `tiers_computed` computes.
    fn value(&self, expr: &Expr) -> String {
        let sql = self.sql(expr).expect("it was written before");
        match self.expressions.iter().position(|(_, known)| *known == sql) {
            Some(place) => computed(place),
            None => sql,
        }
    }

    fn kind(&self, request: usize) -> &Kind {
        let name = &self.recipe.requests[request].column;
        self.query.fields.iter().find(|field| field.name == *name).map_or(&Kind::Float, |field| &field.kind)
    }

    /// Returns the condition that a request has a value.
    pub(crate) fn is_present(&self, request: usize) -> String {
        let name = alias(request);
        match (self.recipe.requests[request].role, self.kind(request)) {
            (Role::Number, _) => self.dialect.is_number(&name),
            (_, Kind::Float) => self.dialect.is_number(&self.dialect.double(&name)),
            _ => format!("{name} IS NOT NULL"),
        }
    }

    /// Returns the requests whose missing values drop a row: all but the weights.
    pub(crate) fn own(&self) -> Vec<usize> {
        (0..self.recipe.requests.len()).filter(|&request| Some(request) != self.recipe.weights).collect()
    }

    /// Returns the expressions as written.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &String> {
        self.expressions.iter().map(|(text, _)| text)
    }

    /// Returns the condition that an expression is a number.
    pub(crate) fn is_computed(&self, place: usize) -> String {
        self.dialect.is_number(&computed(place))
    }

    /// Returns `WITH …`, up to `tiers_used`, or up to `tiers_complete` without the levels.
    fn selected(&self) -> Result<String, SqlError> {
        let flag = |name: &str, conditions: &[String]| {
            let all = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join("\n      AND ") };
            format!("CASE WHEN {all}\n      THEN 1 ELSE 0 END AS {name}")
        };
        let mut given = Vec::new();
        for request in 0..self.recipe.requests.len() {
            given.push(format!("{} AS {}", self.given(request)?, alias(request)));
        }
        let condition = self.query.condition.map_or(String::new(), |text| format!("\n  WHERE (\n  {text}\n  )"));
        let present: Vec<String> = self.own().into_iter().map(|request| self.is_present(request)).collect();
        let when = |sql: &String| format!("CASE WHEN present = 1 THEN {sql} END");
        let values = self.expressions.iter().enumerate();
        let values: Vec<String> =
            values.map(|(i, (_, sql))| format!(",\n    {} AS {}", when(sql), computed(i))).collect();
        let mut complete = vec!["present = 1".to_owned()];
        complete.extend((0..self.expressions.len()).map(|place| self.is_computed(place)));
        Ok([
            format!(
                "WITH tiers_given AS (\n  SELECT\n    {}\n  FROM {}{condition}\n)",
                given.join(",\n    "),
                self.table()
            ),
            format!(
                "tiers_present AS (\n  SELECT tiers_given.*,\n    {}\n  FROM tiers_given\n)",
                flag("present", &present)
            ),
            format!("tiers_computed AS (\n  SELECT tiers_present.*{}\n  FROM tiers_present\n)", values.concat()),
            format!(
                "tiers_complete AS (\n  SELECT tiers_computed.*,\n    {}\n  FROM tiers_computed\n)",
                flag("complete", &complete)
            ),
        ]
        .join(",\n"))
    }

    /// Returns the table as the user wrote it; a query in brackets needs a name.
    fn table(&self) -> String {
        let table = self.query.table.trim();
        let is_query = table.starts_with('(') && table.ends_with(')');
        if is_query { format!("{table} AS tiers_table") } else { table.to_owned() }
    }

    /// Returns a column of the table in the form of its request.
    fn given(&self, request: usize) -> Result<String, SqlError> {
        let name = &self.recipe.requests[request].column;
        let column = self.dialect.column(name);
        Ok(match (self.recipe.requests[request].role, self.kind(request)) {
            (Role::Number, kind) => self.dialect.number_of(name, kind),
            (_, Kind::Boolean) => format!("CASE WHEN {column} THEN 'TRUE' WHEN NOT {column} THEN 'FALSE' END"),
            (_, Kind::Date) => self.dialect.as_text(&column),
            (_, Kind::DateTime) => return Err(SqlError::PointsInTime { column: name.clone() }),
            // As it is: a column of another kind than the schema states shows when the cells are read.
            _ => column,
        })
    }

    /// Returns `WITH …` up to `tiers_columns`.
    pub(crate) fn columns(&self) -> Result<String, SqlError> {
        let mut used = vec!["complete = 1".to_owned()];
        used.extend(self.recipe.factors.iter().map(|factor| self.is_listed(factor)));
        let mut columns: Vec<String> = self.recipe.columns.iter().map(|spec| self.column(spec)).collect();
        columns.push(self.response());
        let columns = columns.iter().enumerate();
        let columns: Vec<String> =
            columns.map(|(j, sql)| format!("CASE WHEN used = 1 THEN {sql} END AS c_{j}")).collect();
        Ok(format!(
            "{},\ntiers_used AS (\n  SELECT tiers_complete.*,\n    CASE WHEN {}\n      THEN 1 ELSE 0 END AS used\n  FROM \
             tiers_complete\n),\ntiers_columns AS (\n  SELECT tiers_used.*,\n    {}\n  FROM tiers_used\n)",
            self.selected()?,
            used.join("\n      AND "),
            columns.join(",\n    ")
        ))
    }

    /// Returns the condition that the level of a factor is one of those listed.
    pub(crate) fn is_listed(&self, factor: &Factor) -> String {
        let levels: Vec<String> = factor.levels.iter().map(|level| self.level(factor, level)).collect();
        let list = if levels.is_empty() { "NULL".to_owned() } else { levels.join(", ") };
        format!("{} IN ({list})", self.label(factor))
    }

    /// Returns the labels of a factor, to be compared with its levels.
    fn label(&self, factor: &Factor) -> String {
        let name = alias(factor.request);
        if *self.kind(factor.request) == Kind::Float { self.dialect.double(&name) } else { name }
    }

    fn level(&self, factor: &Factor, level: &str) -> String {
        match (self.kind(factor.request), level.parse::<i64>(), level.parse::<f64>()) {
            (Kind::Integer, Ok(value), _) => value.to_string(),
            (Kind::Integer | Kind::Float, _, Ok(value)) => self.dialect.number(value),
            (Kind::Integer | Kind::Float, _, Err(_)) => "NULL".to_owned(),
            _ => self.dialect.text(level),
        }
    }

    /// Returns a column of C: the product of its numbers where its indicators are 1, less the shift.
    fn column(&self, spec: &ColumnSpec) -> String {
        let (mut numbers, mut conditions) = (Vec::new(), Vec::new());
        for atom in &spec.atoms {
            match atom {
                Atom::Number(expr) => numbers.push(self.value(expr)),
                Atom::Indicator { factor, level } => {
                    let factor = &self.recipe.factors[*factor];
                    let level = self.level(factor, &factor.levels[*level]);
                    conditions.push(format!("{} = {level}", self.label(factor)));
                }
            }
        }
        let product = if numbers.is_empty() { self.dialect.number(1.0) } else { numbers.join(" * ") };
        let value = match conditions.is_empty() {
            true => product,
            false => {
                format!("CASE WHEN {} THEN {product} ELSE {} END", conditions.join(" AND "), self.dialect.number(0.0))
            }
        };
        self.shifted(&value, spec.shift)
    }

    fn response(&self) -> String {
        let offsets: String = self.recipe.offsets.iter().map(|offset| format!(" - {}", self.value(offset))).collect();
        self.shifted(&format!("{}{offsets}", self.value(&self.recipe.response)), self.recipe.response_shift)
    }

    /// Subtracts the shift, from the product and never inside it.
    fn shifted(&self, value: &str, shift: f64) -> String {
        match shift {
            0.0 => value.to_owned(),
            shift => format!("({value}) - {}", self.dialect.number(shift)),
        }
    }

    /// Returns the query for the levels of all factors on complete rows.
    pub(crate) fn levels(&self) -> Result<String, SqlError> {
        let quoted = |name: &str| self.dialect.column(name);
        let of_factor = |factor: &Factor| {
            format!(
                "SELECT DISTINCT {} AS {}, {} AS {} FROM tiers_complete WHERE complete = 1",
                self.dialect.text(&factor.column),
                quoted("factor"),
                self.dialect.as_text(&alias(factor.request)),
                quoted("level")
            )
        };
        let parts: Vec<String> = self.recipe.factors.iter().map(of_factor).collect();
        Ok(format!("{}\n{}", self.selected()?, parts.join("\nUNION ALL ")))
    }
}

/// Returns the alias of a request.
pub(crate) fn alias(request: usize) -> String {
    format!("r_{request}")
}

fn computed(place: usize) -> String {
    format!("e_{place}")
}
