//! Which crate may know which: the table that the code map of `ARCHITECTURE.md` explains.

use crate::metadata::Package;
use crate::rooms::tree::Tree;

/// What one crate may use.
pub(super) struct Layer {
    pub(super) name: &'static str,
    /// The crates of this workspace that it may depend on.
    pub(super) may: &'static [&'static str],
    /// Other crates that it must not depend on; a `*` at the end stands for any rest.
    pub(super) never: &'static [&'static str],
}

/// From the ground up.
pub(super) const LAYERS: &[Layer] = &[
    Layer {
        name: "fanfare-protocol",
        may: &[],
        never: &["tokio*", "futures*", "actix*", "redis", "rustix", "socket2"],
    },
    Layer {
        name: "fanfare-layer",
        may: &["fanfare-protocol"],
        never: &["actix*", "rustix", "socket2", "config", "clap"],
    },
    Layer {
        name: "fanfare-node",
        may: &["fanfare-protocol", "fanfare-layer"],
        never: &[
            "actix-web*",
            "actix-http",
            "http",
            "hyper*",
            "redis",
            "config",
            "clap",
        ],
    },
    Layer {
        name: "fanfare-web",
        may: &["fanfare-protocol", "fanfare-layer", "fanfare-node"],
        never: &["actix-server", "socket2", "config", "clap", "hyper*"],
    },
    Layer {
        name: "fanfare-consumer",
        may: &[
            "fanfare-protocol",
            "fanfare-layer",
            "fanfare-node",
            "fanfare-web",
        ],
        never: &["actix-server", "socket2", "config", "clap", "hyper*"],
    },
    Layer {
        name: "fanfare-gateway",
        may: &[
            "fanfare-layer",
            "fanfare-node",
            "fanfare-web",
            "fanfare-consumer",
        ],
        never: &["config", "clap", "redis", "hyper*"],
    },
    Layer {
        name: "fanfare-testing",
        may: &[
            "fanfare-protocol",
            "fanfare-layer",
            "fanfare-node",
            "fanfare-web",
            "fanfare-consumer",
            "fanfare-gateway",
        ],
        never: &["config", "clap"],
    },
    Layer {
        name: "fanfare",
        may: &[
            "fanfare-protocol",
            "fanfare-layer",
            "fanfare-node",
            "fanfare-web",
            "fanfare-consumer",
            "fanfare-gateway",
            "fanfare-testing",
        ],
        never: &["config", "clap"],
    },
    Layer {
        name: "fanfare-server",
        may: &[
            "fanfare-protocol",
            "fanfare-layer",
            "fanfare-node",
            "fanfare-web",
            "fanfare-consumer",
            "fanfare-gateway",
            "fanfare",
        ],
        never: &[],
    },
    Layer {
        name: "fanfare-rig",
        may: &["fanfare-protocol", "fanfare-layer"],
        never: &["actix*"],
    },
    Layer {
        name: "fanfare-bench",
        may: &["fanfare-protocol", "fanfare-rig"],
        never: &["actix*"],
    },
    Layer {
        name: "fanfare-benches",
        may: &["fanfare-protocol", "fanfare-consumer", "fanfare-gateway"],
        never: &["redis"],
    },
    Layer {
        name: "fanfare-tests",
        may: &["fanfare", "fanfare-rig"],
        never: &[],
    },
    Layer {
        name: "xtask",
        may: &[],
        never: &["tokio*", "actix*"],
    },
];

/// What the dependencies of a package break, a sentence each.
pub(super) fn complaints(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some(layer) = layer(name) else {
        return vec![format!(
            "{name} has no row in crates/xtask/src/rooms/layering.rs: say there what it may use"
        )];
    };
    let dependencies = package.dependencies.iter();
    let shipped = dependencies.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
    shipped
        .filter(|dependency| !allows(layer, &dependency.name, dependency.path.is_some()))
        .map(|dependency| format!("{name} must not depend on {}", dependency.name))
        .collect()
}

/// What the imports of a crate's modules break. Code for tests is not among them, so this also
/// refuses what only a test's dependencies would allow.
pub(super) fn imported(package: &str, tree: &Tree) -> Vec<String> {
    let Some(layer) = layer(package) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for module in tree.modules.values() {
        for import in &module.imports {
            let first = import.segments.iter().find(|name| !name.is_empty());
            let Some(first) = first.map(|name| name.replace('_', "-")) else {
                continue;
            };
            let ours = LAYERS.iter().any(|layer| layer.name == first);
            if ours && import.segments.len() > 1 && first != package && !allows(layer, &first, true)
            {
                complaints.push(format!(
                    "{package} must not import {first} ({}:{})",
                    module.file.display(),
                    import.line
                ));
            }
        }
    }
    complaints
}

fn layer(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

fn allows(layer: &Layer, name: &str, ours: bool) -> bool {
    if ours {
        return layer.may.contains(&name);
    }
    !layer
        .never
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *pattern,
        })
}
