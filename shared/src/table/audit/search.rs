//! Looking for entries, newest first.

use super::{Action, Entry};
use crate::{
    id::{AuditId, UserId},
    problem::Problem,
    table::{
        Span, Store, Table, from_item,
        newest::{Filter, Source},
        s,
    },
};

/// Whose entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those about an account.
    About(UserId),
    /// Those of what somebody did, to themselves or to others.
    By(UserId),
    /// Those of what somebody did to an account.
    AboutAndBy(UserId, UserId),
}

/// Which entries are wanted: those that meet all of it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whose.
    pub whose: Whose,
    /// What was done.
    pub action: Option<Action>,
    /// When.
    pub span: Span,
}

impl Wanted {
    /// What somebody did to themselves names no actor, and so is not in the index by actor.
    fn sources(&self) -> Result<Vec<Source>, Problem> {
        Ok(match self.whose {
            Whose::About(subject) => vec![self.about(subject, |_| {})?],
            Whose::AboutAndBy(subject, actor) => {
                vec![self.about(subject, |filter| match subject == actor {
                    true => filter.absent("actor"),
                    false => filter.equals("actor", s(actor.to_string())),
                })?]
            }
            Whose::By(actor) => vec![
                self.about(actor, |filter| filter.absent("actor"))?,
                Source {
                    index: Some("by_actor"),
                    partition: ("actor", actor.to_string()),
                    ..self.about(actor, |_| {})?
                },
            ],
        })
    }

    fn about(&self, subject: UserId, and: impl FnOnce(&mut Filter)) -> Result<Source, Problem> {
        let mut filter = Filter::default();
        if let Some(action) = self.action {
            let action = serde_dynamo::to_attribute_value(action).map_err(Problem::internal)?;
            filter.equals("action", action);
        }
        and(&mut filter);
        Ok(Source {
            table: Table::Audit,
            index: None,
            partition: ("subject", subject.to_string()),
            sort: "entry_id",
            filter,
        })
    }
}

/// A page of the entries that are wanted and were made before the entry `before`, newest first,
/// and the id to go on before.
pub async fn page(
    store: &Store,
    wanted: &Wanted,
    before: Option<AuditId>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<AuditId>), Problem> {
    let (sources, before) = (wanted.sources()?, before.map(|id| id.to_string()));
    let (items, next) = store.newest(&sources, wanted.span, before.as_deref(), limit).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|id| AuditId::parse(&id)).transpose();
    Ok((
        entries,
        next.map_err(|_| Problem::internal("a sort key of the audit trail is not an id"))?,
    ))
}
