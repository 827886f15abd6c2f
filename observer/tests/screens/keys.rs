//! What keys and clicks do.

use observer::view::Effect;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::{PLAIN, check_size, press, scenes, text, type_in};

#[test]
fn a_group_unfolds() {
    let mut scene = scenes::sharded(PLAIN);
    press(&mut scene, &[KeyCode::Right]);
    check_size("queues-unfolded-80x24", &mut scene, (80, 24));
    press(&mut scene, &[KeyCode::Left]);
    check_size("queues-sharded-80x24", &mut scene, (80, 24));
}

#[test]
fn paused_it_stands_still_and_then_goes_on() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char(' ')]);
    let paused = text(&mut scene.app, (120, 40));
    assert!(paused.contains("PAUSED"), "{paused}");
    scene.run(5);
    assert_eq!(text(&mut scene.app, (120, 40)), paused);
    press(&mut scene, &[KeyCode::Char(' ')]);
    let live = text(&mut scene.app, (120, 40));
    assert!(live.contains("00:00:50"), "{live}");
}

#[test]
fn stepping_back_shows_what_was_and_returns_to_what_is() {
    let mut scene = scenes::overflowing(PLAIN);
    // What the screen says now, and a while later, when it says something else.
    let without_clock = |scene: &mut crate::fixture::Scene| {
        let text = text(&mut scene.app, (120, 40));
        text.lines().skip(1).take(37).collect::<Vec<_>>().join("\n")
    };
    let then = without_clock(&mut scene);
    scene.sources[0].arrivals = 100;
    scene.run(20);
    let now = without_clock(&mut scene);
    assert_ne!(then, now);
    press(&mut scene, &[KeyCode::Char('['); 20]);
    assert_eq!(without_clock(&mut scene), then);
    // The world goes on, and the moment stays.
    scene.run(3);
    assert_eq!(without_clock(&mut scene), then);
    let header = text(&mut scene.app, (120, 40));
    assert!(header.contains("◀ 0:20 ago, 1:04 kept 00:00:45"), "{header}");
    press(&mut scene, &[KeyCode::Char('}')]);
    assert_eq!(without_clock(&mut scene), now);
    assert!(text(&mut scene.app, (120, 40)).contains("PAUSED"));
    press(&mut scene, &[KeyCode::Char('{'), KeyCode::Char('{'), KeyCode::Char('{')]);
    assert!(text(&mut scene.app, (120, 40)).contains("◀ 1:04 ago, 1:04 kept"));
    press(&mut scene, &[KeyCode::Char(' ')]);
    assert!(text(&mut scene.app, (120, 40)).contains("live 00:01:08"));
}

#[test]
fn a_pattern_is_chosen_by_its_number_and_the_outcome_is_shown() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('p')]);
    check_size("choose-pattern-80x24", &mut scene, (80, 24));
    let effects = scene.app.key(KeyCode::Char('5').into());
    let [Effect::Demo(request)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.to_line().unwrap(), b"{\"v\":1,\"cmd\":\"set\",\"pattern\":\"sharding\"}\n");
    scene.app.demo_reply(Err("the address is in use".to_owned()));
    assert!(text(&mut scene.app, (80, 24)).contains("! pattern sharding: the address is in use"));
    scene.run(10);
    assert!(!text(&mut scene.app, (80, 24)).contains("in use"));
}

#[test]
fn without_a_backend_there_is_nothing_to_switch() {
    let mut scene = scenes::healthy(PLAIN);
    assert!(scene.app.key(KeyCode::Char('p').into()).is_empty());
    assert!(text(&mut scene.app, (80, 24)).contains("no demo-server here to switch"));
}

#[test]
fn settings_are_stepped_and_typed() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('5')]);
    // Down to the backlog, below the patterns.
    press(&mut scene, &vec![KeyCode::Down; demo_server::pattern::PATTERNS.len()]);
    let line = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Demo(request)] => String::from_utf8(request.to_line().unwrap()).unwrap(),
        other => format!("{other:?}"),
    };
    assert!(line(scene.app.key(KeyCode::Right.into())).contains(r#""backlog":128"#));
    assert!(line(scene.app.key(KeyCode::Left.into())).contains(r#""backlog":32"#));
    press(
        &mut scene,
        &[KeyCode::Enter, KeyCode::Backspace, KeyCode::Backspace, KeyCode::Char('7'), KeyCode::Char('q')],
    );
    assert!(text(&mut scene.app, (80, 24)).contains("7▏"));
    assert!(line(scene.app.key(KeyCode::Enter.into())).contains(r#""backlog":7"#));
    // What cannot be is said in place, and stays there to be mended.
    press(&mut scene, &[KeyCode::Enter, KeyCode::Char('x')]);
    assert!(text(&mut scene.app, (80, 24)).contains("not that: backlog: 0 to 65,535"));
    press(&mut scene, &[KeyCode::Char('9'); 9]);
    assert!(text(&mut scene.app, (80, 24)).contains("Esc leaves it"));
    assert!(scene.app.key(KeyCode::Enter.into()).is_empty(), "that is too much");
    assert!(text(&mut scene.app, (80, 24)).contains("not that: backlog: 0 to 65,535"));
    press(&mut scene, &[KeyCode::Backspace; 9]);
    assert!(scene.app.key(KeyCode::Enter.into()).is_empty(), "there is nothing");
    press(&mut scene, &[KeyCode::Char('9')]);
    assert!(line(scene.app.key(KeyCode::Enter.into())).contains(r#""backlog":9"#));
}

#[test]
fn keys_that_leave() {
    let mut scene = scenes::healthy(PLAIN);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(matches!(scene.app.key(control_c).as_slice(), [Effect::Quit]));
    assert!(matches!(scene.app.key(KeyCode::Char('q').into()).as_slice(), [Effect::Quit]));
}

#[test]
fn keys_that_leave_the_help() {
    let mut scene = scenes::healthy(PLAIN);
    for key in [KeyCode::Char('q'), KeyCode::Esc, KeyCode::Char('?')] {
        press(&mut scene, &[KeyCode::Char('?')]);
        assert!(text(&mut scene.app, (80, 24)).contains("what is on this screen"));
        assert!(scene.app.key(key.into()).is_empty());
        assert!(text(&mut scene.app, (80, 24)).contains("LISTENER"), "{key:?}");
    }
}

#[test]
fn escape_goes_back_to_the_worst() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Down]);
    assert!(text(&mut scene.app, (80, 24)).contains("accept queue of [::]:22"));
    press(&mut scene, &[KeyCode::Esc]);
    assert!(text(&mut scene.app, (80, 24)).contains("accept queue of 127.0.0.1:8080"));
}

#[test]
fn a_click_on_a_tab_shows_its_screen_and_a_click_on_a_row_chooses_it() {
    let mut scene = scenes::overflowing(PLAIN);
    let click = |column, row| MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    text(&mut scene.app, (80, 24));
    scene.app.mouse(click(5, 5));
    assert!(text(&mut scene.app, (80, 24)).contains("accept queue of [::]:22"));
    scene.app.mouse(click(14, 22));
    assert!(text(&mut scene.app, (80, 24)).contains("STAGE"));
}

#[test]
fn a_filter_leaves_listeners_away_on_every_screen() {
    let mut scene = scenes::overflowing(PLAIN);
    type_in(&mut scene, "/port:22");
    check_size("queues-filter-typing-80x24", &mut scene, (80, 24));
    press(&mut scene, &[KeyCode::Enter]);
    let queues = text(&mut scene.app, (80, 24));
    assert!(queues.contains("1 of 2") && !queues.contains("OVERFLOWING"), "{queues}");
    press(&mut scene, &[KeyCode::Char('2')]);
    assert!(text(&mut scene.app, (80, 24)).contains("[::]:22"));
    press(&mut scene, &[KeyCode::Char('1'), KeyCode::Esc]);
    assert!(text(&mut scene.app, (80, 24)).contains("OVERFLOWING"));
    // What nothing passes is said, and the other screens keep what they show.
    type_in(&mut scene, "/comm:nobody\n");
    assert!(text(&mut scene.app, (80, 24)).contains("no listener passes the filter"));
    press(&mut scene, &[KeyCode::Char('2')]);
    assert!(text(&mut scene.app, (80, 24)).contains("STAGE"));
}

#[test]
fn a_filter_that_cannot_be_read_says_why_where_it_is() {
    let mut scene = scenes::handed_over(PLAIN);
    type_in(&mut scene, "4/tid:4130 wait>10");
    check_size("connections-filter-wrong-80x24", &mut scene, (80, 24));
    // Enter does not take it, and every key still goes to it.
    type_in(&mut scene, "\nq");
    assert!(text(&mut scene.app, (80, 24)).contains("wait>10q▏"));
    press(&mut scene, &[KeyCode::Esc]);
    assert!(text(&mut scene.app, (80, 24)).contains("newest first"));
    assert!(!text(&mut scene.app, (80, 24)).contains("tid:4130"));
}

#[test]
fn connections_are_filtered_by_what_happened_to_them() {
    let mut scene = scenes::handed_over(PLAIN);
    type_in(&mut scene, "4/tid:4130 state:answered\n");
    check_size("connections-filtered-80x24", &mut scene, (80, 24));
    type_in(&mut scene, "/ wait>1h");
    assert!(text(&mut scene.app, (80, 24)).contains("`1h` is no duration"));
    press(&mut scene, &[KeyCode::Backspace, KeyCode::Char('s')]);
    assert!(text(&mut scene.app, (80, 24)).contains("0 of 256"));
}

#[test]
fn the_oldest_that_are_open_are_a_key_away() {
    let mut scene = scenes::handed_over(PLAIN);
    scene.hold(19, true);
    scene.hold(12, false);
    scene.run(1);
    type_in(&mut scene, "4o");
    check_size("connections-open-80x24", &mut scene, (80, 24));
    type_in(&mut scene, "o");
    assert!(text(&mut scene.app, (80, 24)).contains("newest first"));
}

#[test]
fn any_column_sorts_and_its_title_says_so() {
    let mut scene = scenes::handed_over(PLAIN);
    type_in(&mut scene, "4");
    text(&mut scene.app, (80, 24));
    type_in(&mut scene, "sss");
    let sorted = text(&mut scene.app, (80, 24));
    assert!(sorted.contains(" by MET ") && sorted.contains("▾MET"), "{sorted}");
    type_in(&mut scene, "S");
    assert!(text(&mut scene.app, (80, 24)).contains("by MET, reversed"));
    let mut scene = scenes::overflowing(PLAIN);
    text(&mut scene.app, (120, 40));
    // By name: [::]:22 comes after 127.0.0.1:8080, and before it the other way round.
    let first = |text: &str| text.find("[::]:22").unwrap() < text.find("127.0.0.1:8080").unwrap();
    type_in(&mut scene, "s");
    assert!(!first(&text(&mut scene.app, (120, 40))));
    type_in(&mut scene, "S");
    assert!(first(&text(&mut scene.app, (120, 40))));
}

#[test]
fn enter_goes_on_and_escape_comes_back() {
    let mut scene = scenes::overflowing(PLAIN);
    text(&mut scene.app, (80, 24));
    press(&mut scene, &[KeyCode::Enter]);
    assert!(text(&mut scene.app, (80, 24)).contains("STAGE"));
    press(&mut scene, &[KeyCode::Enter]);
    assert!(text(&mut scene.app, (80, 24)).contains("INSTANT"));
    press(&mut scene, &[KeyCode::Esc, KeyCode::Esc]);
    assert!(text(&mut scene.app, (80, 24)).contains("LISTENER"));
    type_in(&mut scene, "3\n");
    let drilled = text(&mut scene.app, (80, 24));
    assert!(drilled.contains("/ tid:4127"), "{drilled}");
    press(&mut scene, &[KeyCode::Esc]);
    assert!(text(&mut scene.app, (80, 24)).contains("THREAD"));
    type_in(&mut scene, "4");
    assert!(!text(&mut scene.app, (80, 24)).contains("tid:"));
}

#[test]
fn the_screen_is_saved_as_it_is() {
    let mut scene = scenes::overflowing(PLAIN);
    let screen = text(&mut scene.app, (80, 24));
    let effects = scene.app.key(KeyCode::Char('x').into());
    let [Effect::Save(picture)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(picture.text, screen);
    // The scene begins 5,000 s after a boot at 1.7 billion, and has run for 45 s.
    assert_eq!(picture.name, "observer-queues-1700005045");
    assert!(picture.svg.contains("OVERFLOWING</text>"));
    scene.app.tell(Ok("saved a.txt and a.svg".to_owned()));
    assert!(text(&mut scene.app, (80, 24)).contains("✓ saved a.txt and a.svg"));
    scene.app.tell(Err("not saved: cannot write a.txt: disk full".to_owned()));
    assert!(text(&mut scene.app, (80, 24)).contains("! not saved: cannot write a.txt: disk full"));
}

/// Clicks on the first place where the screen has this text.
pub(crate) fn click_on(scene: &mut crate::fixture::Scene, wanted: &str) -> Vec<Effect> {
    let screen = text(&mut scene.app, (120, 40));
    let place = screen.lines().enumerate().find_map(|(row, line)| {
        let before = &line[..line.find(wanted)?];
        Some((before.chars().count() as u16, row as u16))
    });
    assert!(place.is_some(), "no {wanted} in\n{screen}");
    let (column, row) = place.unwrap_or_default();
    scene.app.mouse(MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column,
        row,
        modifiers: KeyModifiers::NONE,
    })
}

#[test]
fn a_click_on_a_key_presses_it() {
    let mut scene = scenes::overflowing(PLAIN);
    click_on(&mut scene, "space pause");
    assert!(text(&mut scene.app, (120, 40)).contains("PAUSED"));
    click_on(&mut scene, "[ ] back");
    assert!(text(&mut scene.app, (120, 40)).contains("◀ 0:01 ago"));
    click_on(&mut scene, "space live");
    assert!(text(&mut scene.app, (120, 40)).contains("▶ live"));
    click_on(&mut scene, "? help");
    text(&mut scene.app, (120, 40));
    press(&mut scene, &[KeyCode::End]);
    let effects = click_on(&mut scene, "x     ");
    assert!(matches!(effects.as_slice(), [Effect::Save(_)]), "{effects:?}");
    assert!(text(&mut scene.app, (120, 40)).contains("LISTENER  "), "the help is closed");
    click_on(&mut scene, "LISTENER");
    assert!(text(&mut scene.app, (120, 40)).contains("▾LISTENER"));
    click_on(&mut scene, "2 Journey");
    click_on(&mut scene, "read to write");
    assert!(text(&mut scene.app, (120, 40)).contains("─ read to write: "));
    // Whoever types is not disturbed.
    type_in(&mut scene, "4/a");
    click_on(&mut scene, "q quit");
    assert!(text(&mut scene.app, (120, 40)).contains("/ a▏"));
    let quit = {
        press(&mut scene, &[KeyCode::Esc]);
        click_on(&mut scene, "q quit")
    };
    assert!(matches!(quit.as_slice(), [Effect::Quit]));
}
