//! The order of a list: by one of its columns, or the one that it has by itself.

use std::cmp::Ordering;

use super::filter::Value;
use super::widget::{
    pen::Pen,
    table::{Column, Slot},
};
use crate::view::styles::Styles;

/// By which column, and whether turned round: by itself, the largest figure and the first name of the alphabet come
/// first, which is what people look for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<Id> {
    by: Option<Id>,
    reversed: bool,
}

impl<Id> Default for Order<Id> {
    fn default() -> Self {
        Self { by: None, reversed: false }
    }
}

impl<Id: Copy + PartialEq> Order<Id> {
    /// Whether a column decides; otherwise the list has its own order.
    pub(crate) fn is_chosen(&self) -> bool {
        self.by.is_some()
    }

    /// The order in words, if it was chosen.
    pub(crate) fn words(&self, columns: &[Column<Id>]) -> Option<String> {
        let title = columns.iter().find(|column| Some(column.id) == self.by)?.title;
        Some(format!("by {}{}", title.trim(), if self.reversed { ", reversed" } else { "" }))
    }

    /// On to the next of these columns; after the last one, back to the list's own order.
    pub(crate) fn next(&mut self, slots: &[Slot<Id>]) {
        let next = self.by.and_then(|id| slots.iter().position(|slot| slot.id == id)).map_or(0, |at| at + 1);
        *self = Self { by: slots.get(next).map(|slot| slot.id), reversed: false };
    }

    /// The other end first.
    pub(crate) fn reverse(&mut self) {
        self.reversed = !self.reversed && self.by.is_some();
    }

    /// By the column at this place of the row of titles; a second time turns it round. False if there is none.
    pub(crate) fn click(&mut self, slots: &[Slot<Id>], x: u16) -> bool {
        let Some(slot) = slots.iter().find(|slot| (slot.x..slot.x + slot.width).contains(&x)) else {
            return false;
        };
        if self.by == Some(slot.id) {
            self.reverse();
        } else {
            *self = Self { by: Some(slot.id), reversed: false };
        }
        true
    }

    /// Marks the title of the column, in the blank before it.
    pub(crate) fn mark(
        &self,
        pen: &mut Pen<'_>,
        y: u16,
        columns: &[Column<Id>],
        slots: &[Slot<Id>],
        styles: &Styles,
    ) {
        let column = columns.iter().find(|column| Some(column.id) == self.by);
        let slot = slots.iter().find(|slot| Some(slot.id) == self.by);
        let (Some(column), Some(slot)) = (column, slot) else { return };
        let title = column.title.len() as u16;
        let x = if slot.right { slot.x + slot.width.saturating_sub(title) } else { slot.x };
        pen.text(x.saturating_sub(1), y, 1, if self.reversed { "▴" } else { "▾" }, styles.key);
    }

    /// Puts things in order, by what `value` says of them; those of which it says nothing come last either way, and
    /// equal ones stay as they were.
    pub(crate) fn sort<T>(&self, things: &mut [T], value: impl Fn(Id, &T) -> Option<Value>) {
        let Some(id) = self.by else { return };
        things.sort_by_cached_key(|thing| Place { value: value(id, thing), reversed: self.reversed });
    }
}

struct Place {
    value: Option<Value>,
    reversed: bool,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (&self.value, &other.value) {
            (Some(Value::Number(one)), Some(Value::Number(two))) => two.total_cmp(one),
            (Some(Value::Text(one)), Some(Value::Text(two))) => one.cmp(two),
            (one, two) => return one.is_none().cmp(&two.is_none()),
        };
        if self.reversed { order.reverse() } else { order }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::widget::table::{left, right};

    fn slot(id: char, x: u16, right: bool) -> Slot<char> {
        Slot { id, x, width: 4, right }
    }

    fn sorted(order: &Order<char>) -> Vec<&'static str> {
        let mut things = vec![("b", Some(2)), ("none", None), ("a", Some(2)), ("c", Some(9))];
        order.sort(&mut things, |id, (name, number): &(&str, Option<u64>)| match id {
            'n' => Some(Value::Text((*name).to_owned())),
            _ => number.map(|number| Value::Number(number as f64)),
        });
        things.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_column_in_turn_and_what_is_unknown_comes_last() {
        let slots = [slot('n', 1, false), slot('x', 6, true)];
        let mut order = Order::default();
        assert_eq!(sorted(&order), ["b", "none", "a", "c"]);
        order.next(&slots);
        assert_eq!(sorted(&order), ["a", "b", "c", "none"]);
        order.next(&slots);
        assert_eq!(sorted(&order), ["c", "b", "a", "none"]);
        order.reverse();
        assert_eq!(sorted(&order), ["b", "a", "c", "none"]);
        order.next(&slots);
        assert!(!order.is_chosen());
    }

    #[test]
    fn a_click_on_a_title_chooses_and_turns_round() {
        let slots = [slot('n', 1, false), slot('x', 6, true)];
        let mut order = Order::default();
        let columns = [left('n', "NAME", 4, 0), right('x', "X", 4, 0)];
        assert!(order.click(&slots, 6));
        assert_eq!(order.words(&columns).as_deref(), Some("by X"));
        assert!(order.click(&slots, 9));
        assert_eq!(order.words(&columns).as_deref(), Some("by X, reversed"));
        assert!(!order.click(&slots, 40));
    }
}
