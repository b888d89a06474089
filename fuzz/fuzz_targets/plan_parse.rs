//! Text from users: YAML or JSON to a checked plan. Whatever is accepted passes the check that
//! peers apply.

#![no_main]

use hyperscale_runtime::plan_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(plan) = plan_text::parse_and_check(text, "fuzz") {
        plan.check_again().expect("a checked plan passes the check for peers");
    }
});
