//! The merge of all sources: the `config` crate's.

use ::config::{Config, ConfigError, Map, Source, Value as Merged, ValueKind};

use super::tree::{Node, Origin, Table, Value};

/// `config` reads the outermost names of a source as paths, and would put a key `"a.b"` into the
/// table `a`. Below them names stay as they are, so everything stands below this one.
const ROOT: &str = "root";
/// `config` forgets where a table was written once it covers another: this leaf of each remembers.
const PLACE: &str = "\0";
/// What stands for a literal that `config` has no kind for; no key takes one anyway.
const NO_KIND: &str = "a date, a time or a huge number";

/// Covers each table with the next ones: tables key by key, everything else (lists too) whole.
///
/// # Errors
/// Those of the `config` crate; these sources cause none.
pub(super) fn merge(tables: Vec<Table>) -> Result<Table, ConfigError> {
    let builder = (tables.into_iter().map(Tree))
        .fold(Config::builder(), |builder, tree| builder.add_source(tree));
    Ok(read_table(builder.build()?.get_table(ROOT)?))
}

/// One table as a source.
#[derive(Debug, Clone)]
struct Tree(Table);

impl Source for Tree {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, ConfigError> {
        Ok(Map::from([(
            ROOT.to_owned(),
            Merged::new(None, write_table(&self.0)),
        )]))
    }
}

fn write_table(table: &Table) -> Map<String, Merged> {
    (table.iter())
        .map(|(key, node)| (key.clone(), write(node)))
        .collect()
}

fn write(node: &Node) -> Merged {
    let origin = node.origin.to_string();
    let kind = match &node.value {
        Value::Text(text) => ValueKind::String(text.clone()),
        Value::Integer(number) => ValueKind::I64(*number),
        Value::Bool(flag) => ValueKind::Boolean(*flag),
        Value::List(items) => ValueKind::Array(items.iter().map(write).collect()),
        Value::Table(table) => {
            let mut table = write_table(table);
            table.insert(PLACE.to_owned(), Merged::new(Some(&origin), ValueKind::Nil));
            ValueKind::Table(table)
        }
        Value::Odd(literal) => match (literal.parse(), literal.parse()) {
            (Ok(number), _) => ValueKind::I128(number),
            (_, Ok(number)) => ValueKind::Float(number),
            _ => ValueKind::Nil,
        },
    };
    Merged::new(Some(&origin), kind)
}

fn read_table(table: Map<String, Merged>) -> Table {
    (table.into_iter())
        .map(|(key, value)| (key, read(value)))
        .collect()
}

fn read(mut merged: Merged) -> Node {
    let place = match &mut merged.kind {
        ValueKind::Table(table) => table.remove(PLACE),
        _ => None,
    };
    let origin = place.as_ref().unwrap_or(&merged).origin();
    let origin = Origin::new(origin.unwrap_or(Origin::DEFAULT));
    let value = match merged.kind {
        ValueKind::String(text) => Value::Text(text),
        ValueKind::I64(number) => Value::Integer(number),
        ValueKind::Boolean(flag) => Value::Bool(flag),
        ValueKind::Array(items) => Value::List(items.into_iter().map(read).collect()),
        ValueKind::Table(table) => Value::Table(read_table(table)),
        ValueKind::Nil => Value::Odd(NO_KIND.to_owned()),
        number => Value::Odd(number.to_string()),
    };
    Node { value, origin }
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse_document;
    use super::*;

    /// The tables of some texts, each from the place of its number.
    fn merged(texts: &[&str]) -> Table {
        let tables = texts.iter().enumerate().map(|(number, text)| {
            parse_document(text, &|_| Origin::new(&number.to_string())).expect(text)
        });
        merge(tables.collect()).expect("merged")
    }

    fn shown(table: Table) -> String {
        Value::Table(table).to_string()
    }

    #[test]
    fn tables_are_covered_key_by_key_and_lists_whole() {
        let table = merged(&[
            "list = [1, 2, 3]\nt = { a = 1, b = 1 }\nrows = [{ x = 1 }]",
            "list = [4]\nt.b = 2\nrows = [{ y = 1 }]",
            "t.c = 3",
        ]);
        assert_eq!(
            shown(table),
            "{ list = [4], rows = [{ y = 1 }], t = { a = 1, b = 2, c = 3 } }"
        );
    }

    #[test]
    fn names_are_kept_exactly_whatever_letters_they_have() {
        let text = "\"A.b\" = 1\n\"c[0]\" = 2\n\"\" = 3\n[T.\"Chat.Message\"]\n\"x y\" = \"Text\"";
        let table = merged(&["A = { b = 0 }", text]);
        assert_eq!(
            shown(table),
            "{ \"\" = 3, A = { b = 0 }, \"A.b\" = 1, \
             T = { \"Chat.Message\" = { \"x y\" = \"Text\" } }, \"c[0]\" = 2 }"
        );
    }

    #[test]
    fn everything_knows_where_it_was_written_last() {
        let table = merged(&["a = 1\n[t]\nx = 1\n[u]", "a = { }\n[t]\n[[l]]\nk = 2"]);
        let place = |path| {
            super::super::tree::find(&table, path)
                .expect(path)
                .origin
                .to_string()
        };
        let places: Vec<_> = ["a", "t", "t.x", "u", "l"].map(place).into();
        assert_eq!(places, ["1", "1", "0", "0", "1"]);
        let row = super::super::tree::find(&table, "l").expect("l").items();
        assert_eq!(row[0].origin, Origin::new("1"));
        assert_eq!(row[0].value.to_string(), "{ k = 2 }");
    }

    #[test]
    fn literals_that_no_key_takes_stay_recognisable() {
        let table = merged(&["a = 1.5\nb = 99999999999999999999\nc = 2024-01-01"]);
        let value = |key: &str| table[key].value.clone();
        assert_eq!(value("a"), Value::Odd("1.5".to_owned()));
        assert_eq!(value("b"), Value::Odd("99999999999999999999".to_owned()));
        assert_eq!(value("c"), Value::Odd(NO_KIND.to_owned()));
    }
}
