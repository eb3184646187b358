//! Room onebot.
