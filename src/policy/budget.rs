//! How much a consumer may do in a day, `consumer.NAME.daily`. Pure: the date is an argument.

use jiff::civil::Date;

use super::actions::ActionPatterns;
use crate::onebot::ActionName;

/// One line of `consumer.NAME.daily`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The key, as it is written.
    pub key: String,
    /// Which calls count.
    pub actions: ActionPatterns,
    /// How many of them a day.
    pub most: u64,
}

/// What a consumer has left today.
#[derive(Debug)]
pub struct Budget {
    allowances: Vec<Allowance>,
    today: Date,
    used: Vec<u64>,
}

/// An allowance is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The key of the allowance.
    pub key: String,
    /// How many calls it is.
    pub most: u64,
}

impl Budget {
    /// A whole day's.
    #[must_use]
    pub fn new(allowances: Vec<Allowance>) -> Self {
        Self { used: vec![0; allowances.len()], today: Date::ZERO, allowances }
    }

    /// Whether calls of `action` are counted.
    #[must_use]
    pub fn counts(&self, action: &ActionName) -> bool {
        self.allowances.iter().any(|allowance| allowance.actions.matches(action))
    }

    /// Counts a call of `action` on the day `today`.
    ///
    /// # Errors
    /// If one of its allowances is used up; then nothing is counted.
    pub fn spend(&mut self, action: &ActionName, today: Date) -> Result<(), Exhausted> {
        if self.today != today {
            self.today = today;
            self.used.fill(0);
        }
        let exhausted = self
            .allowances
            .iter()
            .zip(&self.used)
            .find(|(allowance, used)| allowance.actions.matches(action) && **used >= allowance.most);
        if let Some((allowance, _)) = exhausted {
            return Err(Exhausted { key: allowance.key.clone(), most: allowance.most });
        }
        self.change(action, |used| used.saturating_add(1));
        Ok(())
    }

    /// Takes back what was counted on the day `day` for a call that was not sent after all.
    pub fn give_back(&mut self, action: &ActionName, day: Date) {
        if self.today == day {
            self.change(action, |used| used.saturating_sub(1));
        }
    }

    fn change(&mut self, action: &ActionName, change: impl Fn(u64) -> u64) {
        for (allowance, used) in self.allowances.iter().zip(&mut self.used) {
            if allowance.actions.matches(action) {
                *used = change(*used);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn budget(lines: &[(&str, u64)]) -> Budget {
        let allowance = |(key, most): &(&str, u64)| Allowance {
            key: (*key).to_owned(),
            actions: ActionPatterns::parse(&[(*key).to_owned()]).unwrap(),
            most: *most,
        };
        Budget::new(lines.iter().map(allowance).collect())
    }

    #[test]
    fn an_allowance_is_there_again_on_the_next_day() {
        let (today, tomorrow) = (date(2026, 11, 24), date(2026, 11, 25));
        let mut budget = budget(&[("@send", 2), ("send_like", 1)]);
        let (send, like) = (ActionName::new("send_msg"), ActionName::new("send_like"));
        assert!(budget.counts(&send) && !budget.counts(&ActionName::new("get_msg")));
        assert_eq!(budget.spend(&send, today), Ok(()));
        assert_eq!(budget.spend(&send, today), Ok(()));
        assert_eq!(budget.spend(&send, today), Err(Exhausted { key: "@send".to_owned(), most: 2 }));
        assert_eq!(budget.spend(&like, today), Ok(()));
        assert_eq!(budget.spend(&send, tomorrow), Ok(()));
    }

    #[test]
    fn what_was_not_sent_is_given_back_but_not_to_another_day() {
        let (today, tomorrow) = (date(2026, 11, 24), date(2026, 11, 25));
        let mut budget = budget(&[("@send", 1)]);
        let send = ActionName::new("send_msg");
        budget.spend(&send, today).unwrap();
        budget.give_back(&send, today);
        budget.spend(&send, today).unwrap();
        budget.spend(&send, tomorrow).unwrap();
        budget.give_back(&send, today);
        assert!(budget.spend(&send, tomorrow).is_err());
    }
}
