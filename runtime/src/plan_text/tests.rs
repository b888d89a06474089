use super::*;

#[test]
fn probe() {
    for text in [
        "name: a\nworkflows:\n  w: {executor: constant-vus, durration: 5s}\n",
        "name: a\nworkflows:\n  w:\n    executor: constant-vu\n",
        "name: a\nworkflows:\n  w:\n    duration: 5\n",
        "name: a\nworkflows:\n  w:\n    duration: 5x\n",
        "name: a\nworkflows:\n  w:\n    vus: x\n",
        "name: a\nworkflows:\n  w:\n    vus: \"5\"\n",
        "name: a\nworkflows:\n  w:\n    vus: [5]\n",
        "name: a\nworkflows:\n  w:\n    vus: -5\n",
        "name: [a]\n",
        "name: 5\nname: 7\n",
        "name: 5\nbase_url: true\nworkflows: {a: {maxVUs: 5, max_vus: 5}}",
        "<<: {name: 5}\n",
        "",
        "[]",
        "a: b: c",
        "name: 'a",
        "name: &a x\nbase_url: *b",
        "on_gate_loss: {stop_after: 5}",
        "on_gate_loss: {stop_aftr: 5s}",
        "on_gate_loss: finsh",
        "on_worker_loss: finsh",
        "thresholds: {a: [{threshold: x, abort_on_fial: true}]}",
        "thresholds: {a: [{abort_on_fail: true}]}",
        "workflows:\n  w:\n    flow:\n      - get: /\n        think: [1]\n",
        "workflows:\n  w:\n    flow:\n      - get: /\n        expect: {status: [200, 2xx, oh]}\n",
        "name: a\n---\nname: b\n",
        "seed: 0x10\nindex_header: yes\n",
        "seed: 99999999999999999999999999\n",
        "index_header: 1\n",
        "name: !!int 5\n",
        "name: null\nworkflows: ~",
        "name: !foo 5\n",
        "name: !!binary aGVsbG8=\n",
    ] {
        println!(
            "{text:?}\n      {}",
            match parse(text, "p.yaml") {
                Ok(p) => format!("{p:?}").chars().take(150).collect(),
                Err(e) => e.to_string(),
            }
        );
    }
}
