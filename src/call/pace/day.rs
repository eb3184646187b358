//! What a consumer may do in a day, `consumer.NAME.daily`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Share, wording};
use crate::hub::Reply;
use crate::onebot::ActionName;
use crate::policy::budget::Budget;

/// One consumer's day. It begins anew with the program: nothing is kept on disk.
#[derive(Debug)]
pub(super) struct Day {
    consumer: String,
    time_zone: TimeZone,
    budget: Mutex<Budget>,
}

impl Day {
    pub(super) fn new(share: &Share, time_zone: TimeZone) -> Self {
        let budget = Mutex::new(Budget::new(share.daily.clone()));
        Self { consumer: share.consumer.clone(), time_zone, budget }
    }

    /// Counts a call of `action`, if such calls are counted; the error is its refusal.
    pub(super) fn spend(self: &Arc<Self>, action: &ActionName) -> Result<Option<Spent>, Reply> {
        let mut budget = self.budget();
        if !budget.counts(action) {
            return Ok(None);
        }
        let (today, left) = self.today();
        match budget.spend(action, today) {
            Ok(()) => Ok(Some(Spent { day: Arc::clone(self), action: action.clone(), date: Some(today) })),
            Err(exhausted) => Err(wording::exhausted(&exhausted, &self.consumer, left)),
        }
    }

    /// Today, and how long that lasts.
    fn today(&self) -> (Date, Duration) {
        let now = Timestamp::now().to_zoned_datetime(self.time_zone.clone());
        let midnight = now.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        let left = midnight.map(|midnight| now.duration_until(&midnight).unsigned_abs());
        (now.date(), left.unwrap_or(Duration::from_hours(24)))
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // Nothing in there can panic between changes that belong together.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call took from the day; given back when it is dropped.
pub(super) struct Spent {
    day: Arc<Day>,
    action: ActionName,
    date: Option<Date>,
}

impl Spent {
    /// The call is on its way.
    pub(super) fn keep(mut self) {
        self.date = None;
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        if let Some(date) = self.date {
            self.day.budget().give_back(&self.action, date);
        }
    }
}
