//! Declared groups: their names, with parameters of the path in them.

use fanfare_protocol::{GroupName, NameError};
use fanfare_web::template::Part;

use super::path::{TemplateError, parts};

/// What the groups of Fanfare's own start with: everybody's and each user's.
const RESERVED: &str = "fanfare.";

/// The groups of a route.
#[derive(Debug)]
pub(super) struct GroupTemplates(Vec<GroupTemplate>);

#[derive(Debug)]
struct GroupTemplate {
    text: &'static str,
    parts: Vec<Part>,
}

/// Why a request has no groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GroupsError {
    /// The client's fault.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The route's.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl GroupTemplates {
    pub(super) fn parse(texts: &[&'static str]) -> Result<Self, TemplateError> {
        let templates = texts.iter().map(|text| GroupTemplate::parse(text));
        templates.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the parameters of a path are all that is used.
    pub(super) fn check(&self, parameters: &[String]) -> Result<(), TemplateError> {
        let known = |name: &str| parameters.iter().any(|other| other == name);
        for template in &self.0 {
            let mut names = template.parts.iter().filter_map(Part::parameter);
            if let Some(name) = names.find(|name| !known(name)) {
                return Err(template.unknown(name));
            }
        }
        Ok(())
    }

    /// The groups of a request with these parameters, each once.
    pub(super) fn render(
        &self,
        parameters: &[(Box<str>, Box<str>)],
    ) -> Result<Vec<GroupName>, GroupsError> {
        // And the user's.
        let mut groups = Vec::with_capacity(self.0.len() + 1);
        for template in &self.0 {
            let group = template.render(parameters)?;
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}

impl GroupTemplate {
    fn parse(text: &'static str) -> Result<Self, TemplateError> {
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
        Ok(Self { text, parts })
    }

    fn render(&self, parameters: &[(Box<str>, Box<str>)]) -> Result<GroupName, GroupsError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => name.push_str(text),
                Part::Parameter { name: wanted, .. } => {
                    let found = parameters.iter().find(|(key, _)| **key == **wanted);
                    let (_, value) = found.ok_or_else(|| self.unknown(wanted))?;
                    name.push_str(value);
                }
            }
        }
        // A client names what stands in the path: it must not name its way into everybody's group
        // or another user's.
        if name.starts_with(RESERVED) {
            let kind = "group";
            return Err(NameError::Reserved { kind, name }.into());
        }
        Ok(GroupName::parse(&name)?)
    }

    fn unknown(&self, name: &str) -> TemplateError {
        let (group, name) = (self.text.to_owned(), name.to_owned());
        TemplateError::Unknown { group, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(
        template: &'static str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<GroupName>, GroupsError> {
        let boxed = |&(key, value): &(&str, &str)| (key.into(), value.into());
        let parameters: Vec<_> = parameters.iter().map(boxed).collect();
        GroupTemplates::parse(&[template, template])
            .unwrap()
            .render(&parameters)
    }

    #[test]
    fn a_group_is_made_from_parameters_and_counts_once() {
        let groups = render("chat_{room}.{user}", &[("room", "lobby"), ("user", "ann")]).unwrap();
        assert_eq!(groups, [GroupName::parse("chat_lobby.ann").unwrap()]);
    }

    #[test]
    fn a_parameter_cannot_make_an_illegal_name_or_one_of_fanfare_s_own() {
        for name in ["fanfare.all", "fanfare.user.ada", "a b", &"a".repeat(100)] {
            let error = render("{x}", &[("x", name)]).unwrap_err();
            assert!(matches!(error, GroupsError::Name(_)), "{error}");
        }
        assert!(render("fan{x}", &[("x", "fare.all")]).is_err());
    }

    #[test]
    fn a_parameter_that_the_path_lacks_is_named() {
        let templates = GroupTemplates::parse(&["a_{x}", "b_{y}"]).unwrap();
        let error = templates.check(&["x".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the group \"b_{y}\" uses {y}, which the path does not have"
        );
        assert!(templates.check(&["x".to_owned(), "y".to_owned()]).is_ok());
        let error = render("b_{y}", &[]).unwrap_err();
        assert!(matches!(error, GroupsError::Template(_)), "{error}");
    }

    #[test]
    fn patterns_belong_to_the_path() {
        let error = GroupTemplates::parse(&["fanfare.all"]).unwrap_err();
        assert!(error.to_string().contains("Fanfare's own"), "{error}");
        let error = GroupTemplates::parse(&["a_{x:int}"]).unwrap_err();
        assert!(error.to_string().contains("patterns belong to the path"));
    }
}
