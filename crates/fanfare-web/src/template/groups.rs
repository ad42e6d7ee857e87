//! Names of groups with parameters of the path in them.

use std::borrow::Cow;

use fanfare_protocol::{GroupName, NameError};

use super::error::TemplateError;
use super::path::PathTemplate;
use super::syntax::{Part, parts};

/// What the groups of Fanfare's own start with: everybody's and each user's.
const RESERVED: &str = "fanfare.";

/// The name of a group, such as `chat_{room}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupTemplate {
    text: String,
    parts: Vec<Part>,
}

impl GroupTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let parts = parts(text)?;
        if text.starts_with(RESERVED) {
            let group = text.to_owned();
            return Err(TemplateError::Reserved { group });
        }
        for part in &parts {
            if let Part::Parameter {
                name,
                pattern: Some(_),
            } = part
            {
                let (group, name) = (text.to_owned(), name.clone());
                return Err(TemplateError::PatternInGroup { group, name });
            }
        }
        let text = text.to_owned();
        Ok(Self { text, parts })
    }

    /// Checks that the path has all parameters of the group.
    ///
    /// # Errors
    /// [`TemplateError::Unknown`].
    pub fn check(&self, path: &PathTemplate) -> Result<(), TemplateError> {
        let known = |name: &str| path.parameters().iter().any(|other| other == name);
        self.unknown(known).map_or(Ok(()), Err)
    }

    /// The error when a request lacks a parameter of the group.
    pub(crate) fn missing(&self, parameters: &[(&str, Cow<'_, str>)]) -> Option<TemplateError> {
        self.unknown(|name| parameters.iter().any(|(key, _)| *key == name))
    }

    fn unknown(&self, known: impl Fn(&str) -> bool) -> Option<TemplateError> {
        let mut names = self.parts.iter().filter_map(Part::parameter);
        let name = names.find(|name| !known(name))?;
        let (group, name) = (self.text.clone(), name.to_owned());
        Some(TemplateError::Unknown { group, name })
    }

    /// Whether the name depends on the request.
    pub(crate) fn has_parameters(&self) -> bool {
        self.parts.iter().any(|part| part.parameter().is_some())
    }

    /// The group of a request with these parameters.
    pub(crate) fn render(
        &self,
        parameters: &[(&str, Cow<'_, str>)],
    ) -> Result<GroupName, NameError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => name.push_str(text),
                Part::Parameter { name: wanted, .. } => {
                    let found = parameters.iter().find(|(key, _)| *key == wanted);
                    name.push_str(found.map_or("", |(_, value)| value));
                }
            }
        }
        // A client names what stands in the path: it must not name its way into everybody's group
        // or another user's.
        if name.starts_with(RESERVED) {
            let kind = "group";
            return Err(NameError::Reserved { kind, name });
        }
        GroupName::parse(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(
        template: &str,
        parameters: &[(&'static str, &'static str)],
    ) -> Result<GroupName, NameError> {
        let borrowed = |&(key, value): &(&'static str, &'static str)| (key, value.into());
        let parameters: Vec<_> = parameters.iter().map(borrowed).collect();
        GroupTemplate::parse(template).unwrap().render(&parameters)
    }

    fn path(text: &str) -> PathTemplate {
        PathTemplate::parse(text).unwrap()
    }

    #[test]
    fn a_group_is_made_from_parameters() {
        let group = render("chat_{room}.{user}", &[("room", "lobby"), ("user", "ann")]);
        assert_eq!(group.unwrap().as_str(), "chat_lobby.ann");
        let group = render("café:{room}", &[("room", "ann@example.com")]);
        assert_eq!(group.unwrap().as_str(), "café:ann@example.com");
    }

    #[test]
    fn a_parameter_cannot_make_an_illegal_name_or_one_of_fanfare_s_own() {
        for name in ["fanfare.all", "fanfare.user.ada", "a\nb", ""] {
            assert!(render("{x}", &[("x", name)]).is_err(), "{name}");
        }
        assert!(render("fan{x}", &[("x", "fare.all")]).is_err());
    }

    #[test]
    fn a_parameter_that_the_path_lacks_is_named() {
        let template = GroupTemplate::parse("b_{y}").unwrap();
        let error = template.check(&path("/{x}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the group \"b_{y}\" uses {y}, which the path does not have"
        );
        assert!(template.check(&path("/{x}/{y}")).is_ok());
        assert!(template.missing(&[("x", "".into())]).is_some());
        assert!(template.missing(&[("y", "".into())]).is_none());
    }

    #[test]
    fn patterns_belong_to_the_path() {
        let error = GroupTemplate::parse("fanfare.all").unwrap_err();
        assert!(error.to_string().contains("Fanfare's own"), "{error}");
        let error = GroupTemplate::parse("a_{x:int}").unwrap_err();
        assert!(error.to_string().contains("patterns belong to the path"));
    }
}
