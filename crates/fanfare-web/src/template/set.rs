//! All paths of a server, asked at once.

use actix_web::dev::{Path, ResourceDef, ResourcePath};
use regex::{RegexSet, RegexSetBuilder};

use super::path::PathTemplate;

/// How many bytes the compiled set may take. A thousand routes take a few megabytes.
const LARGEST: usize = 256 << 20;

/// Paths in order, of which the first that matches counts.
///
/// One pass over a path tells which of them can match, however many there are. Only those are
/// matched one by one, for the values of their parameters. Regular expressions of one's own are not
/// part of that pass, because the two libraries for them differ: there they match everything.
#[derive(Clone)]
pub struct PathSet {
    set: RegexSet,
    /// Of each path, with its final slash and without: as many as the set has patterns.
    definitions: Vec<ResourceDef>,
}

/// The paths cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the paths of the routes are too many or too long: {0}")]
pub struct PathSetError(String);

impl PathSet {
    /// Puts paths together.
    ///
    /// # Errors
    /// [`PathSetError`] when they take hundreds of megabytes.
    pub fn new<'t>(
        templates: impl IntoIterator<Item = &'t PathTemplate>,
    ) -> Result<Self, PathSetError> {
        let (mut outlines, mut definitions) = (Vec::new(), Vec::new());
        for template in templates {
            for (outline, pattern) in template.outlines().iter().zip(template.patterns()) {
                outlines.push(outline.clone());
                definitions.push(ResourceDef::new(pattern));
            }
        }
        let set = RegexSetBuilder::new(outlines)
            .size_limit(LARGEST)
            .build()
            .map_err(|error| PathSetError(error.to_string()))?;
        Ok(Self { set, definitions })
    }

    /// The number of the first path that matches, from 0. Its parameters are then in `path`.
    pub fn find<T: ResourcePath>(&self, path: &mut Path<T>) -> Option<usize> {
        let candidates = self.candidates(path.unprocessed());
        for index in candidates {
            let definition = self.definitions.get(index)?;
            if definition.capture_match_info(path) {
                return Some(index / 2);
            }
        }
        None
    }

    /// The patterns that can match, in order.
    fn candidates(&self, path: &str) -> impl Iterator<Item = usize> + use<> {
        self.set.matches(path).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(templates: &[&str]) -> PathSet {
        let parse = |text: &&str| PathTemplate::parse(text).unwrap();
        let templates: Vec<_> = templates.iter().map(parse).collect();
        PathSet::new(&templates).unwrap()
    }

    /// The path that matches, and the parameter `x`.
    fn found(set: &PathSet, text: &str) -> Option<(usize, String)> {
        let mut path = Path::new(text);
        let index = set.find(&mut path)?;
        Some((index, path.get("x").unwrap_or_default().to_owned()))
    }

    const KINDS: [&str; 12] = [
        "/ws/echo",
        "/a.b/{x:int}",
        "/a.b/{x}/",
        "/n/{x:str}",
        "/u/{x:uuid}",
        "/s/{x:slug}-end",
        "/p/{x:path}",
        "/own/{x:[a-z]{2,3}}",
        "/own/{x:\\d+}/",
        "/own/{x:a|b/c}/{y}",
        "/café/{x:[a-zé]+}",
        "/{x:path}/last",
    ];

    #[test]
    fn the_first_path_that_matches_counts_as_if_each_were_asked() {
        let together = set(&KINDS);
        let uuid = "/u/0b0e1a9c-6b0f-4cf0-9a1b-6f2d3c4e5f60";
        let mut hits = [0; KINDS.len()];
        for path in [
            "/ws/echo",
            "/ws/echo/",
            "/ws/echo//",
            "/a.b/12",
            "/a.b/1a/",
            "/axb/1",
            "/n/a b",
            "/n/é",
            "/n/a/b",
            "/n/",
            uuid,
            "/u/0b0e",
            "/s/a_b-end",
            "/s/-end",
            "/p/a/b/",
            "/p/",
            "/own/abc",
            "/own/12/",
            "/own/\u{661}",
            "/own/abcd",
            "/own/b/c/d",
            "/own/a/d/",
            "/own/c/d",
            "/café/é",
            "/cafe/e",
            "/z/y/last/",
            "/n/last",
            "",
            "/",
            "//",
            "ws/echo",
            "/ws/echo\n",
            "/p/\n",
        ] {
            let alone = KINDS.iter().enumerate().find_map(|(index, template)| {
                let (_, value) = found(&set(&[template]), path)?;
                Some((index, value))
            });
            let each = KINDS.iter().position(|template| {
                let patterns = PathTemplate::parse(template).unwrap().patterns();
                ResourceDef::new(patterns).is_match(path)
            });
            let first = found(&together, path);
            assert_eq!(first, alone, "{path:?}");
            assert_eq!(first.as_ref().map(|(index, _)| *index), each, "{path:?}");
            if let Some((index, _)) = first {
                hits[index] += 1;
            }
        }
        assert!(hits.iter().all(|hits| *hits > 0), "{hits:?}");
    }

    #[test]
    fn of_a_thousand_paths_the_one_that_fits_is_asked_alone() {
        let templates: Vec<_> = (0..1000)
            .map(|number| format!("/route{number}/{{x:[a-z]+}}/{{y}}/"))
            .collect();
        let templates: Vec<_> = templates.iter().map(String::as_str).collect();
        let set = set(&templates);
        let asked = |path: &str| set.candidates(path).collect::<Vec<_>>();
        assert_eq!(asked("/route700/abc/d"), [1401]);
        assert_eq!(asked("/route700/ABC/d/"), [1400]);
        assert!(asked("/route1000/abc/d").is_empty());
        assert!(asked(&"/a".repeat(4000)).is_empty());
        assert_eq!(found(&set, "/route700/abc/d").unwrap().0, 700);
        assert_eq!(found(&set, "/route700/ABC/d"), None);
    }

    #[test]
    fn no_path_is_found_where_there_is_none() {
        assert_eq!(found(&set(&[]), "/"), None);
    }
}
