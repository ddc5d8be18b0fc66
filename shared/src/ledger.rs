//! The rules of the ledger: what an entry does to a balance. Pure.

use crate::{
    fields::{Body, Fields},
    money::{Amount, Points},
    table::wallet::{Asset, Balance, Direction},
    value::Invalid,
};

const MAX_TEXT_CHARS: usize = 200;

/// How much of what: never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Money.
    Money(Amount),
    /// Points.
    Points(Points),
}

impl Quantity {
    /// What it is of.
    pub fn asset(self) -> Asset {
        match self {
            Self::Money(_) => Asset::Money,
            Self::Points(_) => Asset::Points,
        }
    }

    /// Minor units, or points.
    pub fn units(self) -> i64 {
        match self {
            Self::Money(amount) => amount.minor(),
            Self::Points(points) => points.get(),
        }
    }
}

/// A movement that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Which way.
    pub direction: Direction,
    /// How much of what.
    pub quantity: Quantity,
}

impl Body for Movement {
    /// `direction`, and one of `amount` and `points`, positive.
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.context.currency;
        let direction = fields.required("direction", |text| match text {
            "CREDIT" => Ok(Direction::Credit),
            "DEBIT" => Ok(Direction::Debit),
            _ => {
                Err(Invalid { code: "invalid_direction", detail: "This must be CREDIT or DEBIT." })
            }
        });
        let amount = fields.optional("amount", |text| {
            let amount = Amount::parse(text, currency)?;
            if amount.is_zero() { Err(NOT_POSITIVE) } else { Ok(Quantity::Money(amount)) }
        });
        let points = fields.optional_integer("points", |number| {
            let points = Points::new(number).filter(|points| !points.is_zero());
            points.map(Quantity::Points).ok_or(NOT_POSITIVE)
        });
        let quantity = match (amount?, points?) {
            (Some(quantity), None) | (None, Some(quantity)) => Some(quantity),
            (None, None) => refuse_both(fields, "required"),
            (Some(_), Some(_)) => refuse_both(fields, "only_one"),
        };
        Some(Self { direction: direction?, quantity: quantity? })
    }
}

const NOT_POSITIVE: Invalid =
    Invalid { code: "not_positive", detail: "This must be more than nothing." };

fn refuse_both(fields: &mut Fields, code: &'static str) -> Option<Quantity> {
    let one = Invalid { code, detail: "Give either amount or points." };
    fields.refuse::<()>("amount", one);
    fields.refuse("points", one)
}

/// A word or a sentence about an entry: 1 to 200 characters, none of them a control character.
///
/// # Errors
/// `invalid_text`.
pub fn remark(text: &str) -> Result<String, Invalid> {
    let fits = (1..=MAX_TEXT_CHARS).contains(&text.chars().count());
    let plain = !text.chars().any(char::is_control) && !text.trim().is_empty();
    (fits && plain)
        .then(|| text.trim().to_owned())
        .ok_or(Invalid { code: "invalid_text", detail: "This must be 1 to 200 characters." })
}

/// Why a movement cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is less than is to be taken.
    Insufficient,
    /// It would be more than a balance can hold.
    TooMuch,
}

/// The balance after a movement, with the units of its asset before and after.
pub fn apply(balance: &Balance, movement: Movement) -> Result<(Balance, i64, i64), Refusal> {
    let mut after = balance.clone();
    let units = movement.quantity.units();
    let (field, most) = match movement.quantity {
        Quantity::Money(_) => (&mut after.balance_minor, Amount::MAX_MINOR),
        Quantity::Points(_) => (&mut after.points, Points::MAX),
    };
    let before = *field;
    let moved = match movement.direction {
        Direction::Credit => before.checked_add(units).filter(|units| *units <= most),
        Direction::Debit => before.checked_sub(units),
    };
    let moved = moved.ok_or(Refusal::TooMuch)?;
    if moved < 0 {
        return Err(Refusal::Insufficient);
    }
    *field = moved;
    if let (Direction::Credit, Quantity::Points(points)) = (movement.direction, movement.quantity) {
        let credited = after.points_credited.checked_add(points.get());
        after.points_credited = credited.ok_or(Refusal::TooMuch)?;
    }
    Ok((after, before, moved))
}
