use std::fs;

use tempfile::TempDir;

use super::{arrows, circles, circles_of, layering, tree::Tree};
use crate::metadata::{Dependency, Package};

/// A made-up crate of files with their texts.
fn tree(files: &[(&str, &str)]) -> (TempDir, Tree) {
    let home = TempDir::new().unwrap();
    for (name, text) in files {
        let file = home.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let tree = Tree::read(&home.path().join("lib.rs")).unwrap();
    (home, tree)
}

/// The circles of a made-up crate, each as the rooms it goes through.
fn circle_rooms(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let (_home, tree) = tree(files);
    let arrows = arrows::between_rooms(&tree);
    let rooms = |circle: Vec<&arrows::Arrow>| circle.iter().map(|it| it.from.clone()).collect();
    circles::find(&arrows).into_iter().map(rooms).collect()
}

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "\n\nuse super::a::A; pub struct B;"),
    ];
    assert_eq!(circle_rooms(&files), [["a", "b"]]);
    let (_home, tree) = tree(&files);
    let text = circles_of("made-up", &tree).concat();
    assert!(text.contains("a.rs:1") && text.contains("b.rs:3"), "{text}");
}

#[test]
fn a_circle_of_three_folders_names_all_of_them_once() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use crate::b::B;"),
        ("a/two.rs", "pub struct Two;"),
        ("b/mod.rs", "use crate::c::C; pub struct B;"),
        ("c/mod.rs", "mod deep; pub struct C;"),
        ("c/deep.rs", "pub fn f() { crate::a::two::Two; }"),
    ];
    assert_eq!(circle_rooms(&files), [["a", "b", "c"]]);
}

#[test]
fn imports_in_one_direction_are_none() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B;"),
    ];
    assert!(circle_rooms(&files).is_empty());
}

#[test]
fn files_of_one_folder_may_import_each_other() {
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a; mod b;"),
        ("room/a.rs", "use super::b::B; pub struct A;"),
        ("room/b.rs", "use super::a::A; pub struct B;"),
    ];
    assert!(circle_rooms(&files).is_empty());
}

#[test]
fn a_folder_and_the_file_that_declares_it_may_import_each_other() {
    let files = [
        ("lib.rs", "mod room;"),
        ("room.rs", "mod inner; use inner::deep::D; pub struct R;"),
        ("room/inner/mod.rs", "pub mod deep;"),
        ("room/inner/deep.rs", "use crate::room::R; pub struct D;"),
    ];
    assert!(circle_rooms(&files).is_empty());
}

#[test]
fn a_folder_and_another_file_of_the_one_above_it_may_not() {
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod inner; mod side;"),
        ("room/side.rs", "use super::inner::deep::D; pub struct S;"),
        ("room/inner/mod.rs", "pub mod deep;"),
        (
            "room/inner/deep.rs",
            "use crate::room::side::S; pub struct D;",
        ),
    ];
    assert_eq!(circle_rooms(&files), [["room", "room/inner"]]);
}

#[test]
fn a_name_that_the_root_exports_again_counts_for_the_room_that_defines_it() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::*; pub use b::B;"),
        ("a/mod.rs", "mod inner; pub use inner::A;"),
        ("a/inner.rs", "use crate::B; pub struct A;"),
        ("b.rs", "use crate::A; pub struct B;"),
    ];
    assert_eq!(circle_rooms(&files), [["a", "b"]]);
}

#[test]
fn paths_in_code_and_in_macros_count_as_imports() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn f() { crate::b::g() }"),
        ("b.rs", "pub fn g() { println!(\"{:?}\", crate::a::f()) }"),
    ];
    assert_eq!(circle_rooms(&files), [["a", "b"]]);
}

#[test]
fn modules_and_imports_for_tests_are_left_out() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }\n\
             #[cfg(test)] use crate::b::B;",
        ),
        (
            "b.rs",
            "use crate::a::A; pub struct B; #[cfg(test)] mod absent;",
        ),
    ];
    assert!(circle_rooms(&files).is_empty());
}

fn package(name: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Package {
    let dependencies = dependencies.iter().map(|(name, kind, ours)| Dependency {
        name: (*name).to_owned(),
        req: "^1".to_owned(),
        kind: kind.map(str::to_owned),
        path: ours.then(|| "somewhere".into()),
    });
    Package::made_up(name, dependencies.collect())
}

#[test]
fn a_crate_that_depends_on_one_above_it_is_named() {
    let upside_down = package("fanfare-layer", &[("fanfare-node", None, true)]);
    assert_eq!(
        layering::complaints(&upside_down),
        ["fanfare-layer must not depend on fanfare-node"]
    );
    let foreign = package("fanfare-protocol", &[("tokio-util", None, false)]);
    assert_eq!(
        layering::complaints(&foreign),
        ["fanfare-protocol must not depend on tokio-util"]
    );
}

#[test]
fn dependencies_of_tests_and_those_in_the_table_are_allowed() {
    let fine = [
        ("fanfare-protocol", None, true),
        ("fanfare-rig", Some("dev"), true),
        ("tokio", None, false),
    ];
    assert!(layering::complaints(&package("fanfare-layer", &fine)).is_empty());
}

#[test]
fn a_crate_without_a_row_in_the_table_is_named() {
    let complaints = layering::complaints(&package("fanfare-new", &[]));
    assert!(complaints.concat().contains("fanfare-new has no row"));
}

#[test]
fn an_import_of_a_crate_above_is_named_with_its_line() {
    let (_home, tree) = tree(&[(
        "lib.rs",
        "use fanfare_protocol::Event;\nuse fanfare_node::Node;",
    )]);
    let complaints = layering::imported("fanfare-layer", &tree);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].ends_with("lib.rs:2)"), "{complaints:?}");
}

#[test]
fn the_table_has_no_circle() {
    for (index, layer) in layering::LAYERS.iter().enumerate() {
        for name in layer.may {
            let below = layering::LAYERS.iter().position(|it| it.name == *name);
            assert!(below.is_some_and(|below| below < index), "{}", layer.name);
        }
    }
}
