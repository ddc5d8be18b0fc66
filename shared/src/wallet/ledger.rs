//! The rules of the ledger: what an entry does to a balance. Pure.

use crate::{
    http::fields::{Body, Fields},
    value::{Amount, Invalid, Points, text},
    wallet::{Asset, Balance, Direction},
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
    /// `direction`, and one of `amount` and `points`, positive. A `currency` must be the
    /// deployment's.
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.context.currency;
        let named = fields.optional("currency", |text| currency.must_be(text));
        let direction = fields.required("direction", |text| match text {
            "CREDIT" => Ok(Direction::Credit),
            "DEBIT" => Ok(Direction::Debit),
            _ => {
                Err(Invalid { code: "invalid_direction", detail: "This must be CREDIT or DEBIT." })
            }
        });
        let amount = fields.optional("amount", |text| {
            let (negative, text) = match text.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, text),
            };
            match Amount::parse(text, currency) {
                Ok(amount) if !negative && !amount.is_zero() => Ok(Quantity::Money(amount)),
                Err(invalid) if !negative => Err(invalid),
                Ok(_) | Err(Amount::TOO_LARGE) => Err(NOT_POSITIVE),
                Err(invalid) => Err(invalid),
            }
        });
        let points = fields.optional_integer("points", |number| match number {
            ..1 => Err(NOT_POSITIVE),
            _ => Points::new(number).map(Quantity::Points).ok_or(TOO_MANY_POINTS),
        });
        let quantity = match (amount?, points?) {
            (Some(quantity), None) | (None, Some(quantity)) => Some(quantity),
            (None, None) => refuse_both(fields, "required"),
            (Some(_), Some(_)) => refuse_both(fields, "only_one"),
        };
        named?;
        Some(Self { direction: direction?, quantity: quantity? })
    }
}

const NOT_POSITIVE: Invalid =
    Invalid { code: "not_positive", detail: "This must be more than nothing." };
const TOO_MANY_POINTS: Invalid =
    Invalid { code: "too_large", detail: "This is more than an account can hold." };

fn refuse_both(fields: &mut Fields, code: &'static str) -> Option<Quantity> {
    let one = Invalid { code, detail: "Give either amount or points." };
    fields.refuse::<()>("amount", one);
    fields.refuse("points", one)
}

/// A word or a sentence about an entry: one line of 1 to 200 characters.
///
/// # Errors
/// As [`text::line`].
pub fn remark(text: &str) -> Result<String, Invalid> {
    text::line(text, 1..=MAX_TEXT_CHARS)
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::value::UserId;

    fn empty() -> Balance {
        Balance::empty(UserId::new(Timestamp::UNIX_EPOCH, [0; 10]), Timestamp::UNIX_EPOCH)
    }

    fn movement(direction: Direction, quantity: Quantity) -> Movement {
        Movement { direction, quantity }
    }

    fn points(count: i64) -> Quantity {
        Quantity::Points(Points::new(count).unwrap())
    }

    #[test]
    fn nothing_is_taken_that_is_not_there() {
        let debit = movement(Direction::Debit, points(1));
        assert_eq!(apply(&empty(), debit), Err(Refusal::Insufficient));
        let most = movement(Direction::Credit, points(Points::MAX));
        let (full, before, after) = apply(&empty(), most).unwrap();
        assert_eq!((before, after), (0, Points::MAX));
        let more = movement(Direction::Credit, points(1));
        assert_eq!(apply(&full, more), Err(Refusal::TooMuch));
    }

    #[test]
    fn a_remark_is_1_to_200_characters() {
        assert_eq!(remark(" rental-1 "), Ok("rental-1".to_owned()));
        assert!(remark(&"é".repeat(200)).is_ok());
        for bad in ["", "  ", "a\nb", &"é".repeat(201)] {
            assert!(remark(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_moved_adds_up_and_one_asset_leaves_the_other_alone(
            moves in prop::collection::vec((any::<bool>(), any::<bool>(), 1_i64..1_000), 0..50),
        ) {
            let mut balance = empty();
            let (mut money, mut held, mut credited) = (0, 0, 0);
            for (is_money, is_credit, units) in moves {
                let quantity = match is_money {
                    true => Quantity::Money(Amount::from_minor(units).unwrap()),
                    false => points(units),
                };
                let direction = if is_credit { Direction::Credit } else { Direction::Debit };
                let signed = if is_credit { units } else { -units };
                let sum = if is_money { &mut money } else { &mut held };
                match apply(&balance, movement(direction, quantity)) {
                    Ok((after, from, to)) => {
                        prop_assert_eq!((from, to), (*sum, *sum + signed));
                        *sum = to;
                        credited += if is_credit && !is_money { units } else { 0 };
                        balance = after;
                    }
                    Err(refusal) => {
                        prop_assert_eq!(refusal, Refusal::Insufficient);
                        prop_assert!(*sum + signed < 0);
                    }
                }
                prop_assert_eq!((balance.balance_minor, balance.points), (money, held));
                prop_assert_eq!(balance.points_credited, credited);
            }
        }
    }
}
