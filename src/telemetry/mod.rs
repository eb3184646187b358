//! What the program tells its operator.

pub mod logging;
