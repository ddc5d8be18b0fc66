//! The search of audit entries, newest first.

use crate::{
    audit::{Action, Entry},
    dynamodb::{
        Store, Table, TimeRange, from_item,
        merged_query::{Filter, Source},
        s,
    },
    http::problem::Problem,
    value::{AuditId, UserId},
};

/// The accounts whose entries are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The entries about an account.
    Subject(UserId),
    /// The entries of a user's actions, on their own account or on others.
    Actor(UserId),
    /// The entries about an account (first) of a user's actions (second).
    SubjectAndActor(UserId, UserId),
}

/// The criteria of a search. An entry must meet all of them.
#[derive(Debug, Clone, Copy)]
pub struct Criteria {
    /// The accounts.
    pub party: Party,
    /// The action; `None` for all.
    pub action: Option<Action>,
    /// The time span.
    pub span: TimeRange,
}

impl Criteria {
    /// The queries of the search. An entry about the actor's own account has no `actor`, so it is
    /// not in the index by actor: it is found by its subject.
    fn sources(&self) -> Result<Vec<Source>, Problem> {
        Ok(match self.party {
            Party::Subject(subject) => vec![self.about(subject, |_| {})?],
            Party::SubjectAndActor(subject, actor) => {
                vec![self.about(subject, |filter| {
                    if subject == actor {
                        filter.absent("actor");
                    } else {
                        filter.equals("actor", s(actor.to_string()));
                    }
                })?]
            }
            Party::Actor(actor) => vec![
                self.about(actor, |filter| filter.absent("actor"))?,
                Source {
                    index: Some("by_actor"),
                    partition: ("actor", actor.to_string()),
                    ..self.about(actor, |_| {})?
                },
            ],
        })
    }

    /// The query for entries about `subject`. `restrict` adds conditions to its filter.
    fn about(
        &self,
        subject: UserId,
        restrict: impl FnOnce(&mut Filter),
    ) -> Result<Source, Problem> {
        let mut filter = Filter::default();
        if let Some(action) = self.action {
            let action = serde_dynamo::to_attribute_value(action).map_err(Problem::internal)?;
            filter.equals("action", action);
        }
        restrict(&mut filter);
        Ok(Source {
            table: Table::Audit,
            index: None,
            partition: ("subject", subject.to_string()),
            sort: "entry_id",
            filter,
        })
    }
}

/// A page of the entries that meet the criteria and are older than the entry `before`, newest
/// first. Also the id for the next page, if there may be more.
pub async fn page(
    store: &Store,
    criteria: &Criteria,
    before: Option<AuditId>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<AuditId>), Problem> {
    let (sources, before) = (criteria.sources()?, before.map(|id| id.to_string()));
    let (items, next) =
        store.query_merged(&sources, criteria.span, before.as_deref(), limit).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|id| AuditId::parse(&id)).transpose();
    let next = next.map_err(|_| Problem::internal("a sort key of the audit trail is not an id"))?;
    Ok((entries, next))
}
