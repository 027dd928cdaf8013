//! Snapshots and tests of this feature.

use std::collections::BTreeMap;
use std::sync::Arc;

use image::RgbImage;

use crate::tui::panel::Panel;
use crate::tui::panel::fixtures::{RunBuilder, assert_screens, give, open_page, panel_with, press};
use crate::tui::panel::page::{LoadedMedia, MediaContent, PageData, Tab};
use artgpt_runs::media::{Embedding, Projection, Rows, Sound};
use artgpt_runs::{At, Bin, ByTag, Cut, Media};

/// Something logged under two names at two steps.
fn logged<T: Clone>(at: impl Fn(u64) -> T) -> ByTag<T> {
    let list = Arc::new([0, 10].map(|step| At { step, what: at(step) }).to_vec());
    BTreeMap::from([("answer".to_string(), list.clone()), ("train/sample".to_string(), list)])
}

/// The page of a run that logged everything, at a tab whose media are loaded.
fn at(tab: Tab, width: u16, height: u16, content: Option<MediaContent>) -> Panel {
    let media = |name: &'static str| {
        move |step: u64| {
            Media::new(
                format!("/runs/all/{name}-{step}").into(),
                None,
                &format!("{name} of step {step}"),
            )
        }
    };
    let run = RunBuilder::new("all").with(|run| {
        let about = run.curves.about_mut();
        about.texts = logged(|step| format!("A **horse** at step {step}.").into());
        about.pictures = logged(media("picture"));
        about.sounds = logged(media("sound"));
        about.tables = logged(media("table"));
        about.histograms = logged(|step| {
            let bin = |i: u64| Bin {
                low: i as f64,
                high: i as f64 + 1.0,
                count: ((i + step) % 7) as f64,
            };
            (0..20).map(bin).collect()
        });
        about.precision = logged(|_| {
            let cut = |i: u64| {
                let threshold = i as f64 / 10.0;
                Cut { threshold, precision: 0.5 + threshold / 2.0, recall: 1.0 - threshold }
            };
            (0..=10).map(cut).collect()
        });
    });
    let mut panel = panel_with(vec![run.build()], width, height);
    let embeddings =
        logged(|_| Embedding { tensors: "/runs/all/styles.tsv".into(), metadata: None });
    let data = PageData { embeddings, ..PageData::default() };
    open_page(&mut panel, tab, data.clone());
    let request = panel.media_request();
    let media = request.zip(content).map(|(request, content)| LoadedMedia {
        request,
        stamp: None,
        content: Ok(content),
    });
    give(&mut panel, PageData { media, ..data });
    panel
}

#[test]
fn texts_histograms_and_precision() {
    assert_screens!("media_texts", |w, h| at(Tab::Texts, w, h, None));
    assert_screens!("media_histograms", |w, h| at(Tab::Histograms, w, h, None));
    assert_screens!("media_precision", |w, h| at(Tab::Precision, w, h, None));
}

#[test]
fn an_earlier_step_of_another_name() {
    assert_screens!("media_texts_earlier", |w, h| {
        let mut panel = at(Tab::Texts, w, h, None);
        press(&mut panel, "Down [");
        panel
    });
}

#[test]
fn a_picture_in_half_blocks() {
    assert_screens!("media_pictures", |w, h| {
        let image = RgbImage::from_fn(40, 24, |x, _| image::Rgb([(x * 6) as u8, 60, 60]));
        let content = MediaContent::Picture(Arc::new(image), (40, 12));
        at(Tab::Pictures, w, h, Some(content))
    });
    assert_screens!("media_pictures_reading", |w, h| at(Tab::Pictures, w, h, None));
}

#[test]
fn a_sound() {
    assert_screens!("media_sounds", |w, h| {
        let wave = (0..200).map(|i| (f64::from(i) / 10.0).sin() as f32 * 0.5);
        let wave = wave.map(|high| (-high.abs(), high.abs())).collect();
        let sound =
            Sound { rate: 8000, channels: 1, bits: 16, seconds: 2.5, wave, peak: 0.5, rms: 0.25 };
        at(Tab::Sounds, w, h, Some(MediaContent::Sound(Arc::new(sound))))
    });
}

#[test]
fn a_table_scrolled_to_its_end() {
    let rows = Rows {
        columns: ["artwork", "score", "remarks"].map(String::from).to_vec(),
        rows: (0..50)
            .map(|i| vec![format!("No. {i}"), format!("{i}.5"), "good ".repeat(12)])
            .collect(),
        left_out: 5,
        is_whole: false,
    };
    let content = MediaContent::Table(Arc::new(rows));
    assert_screens!("media_tables", |w, h| at(Tab::Tables, w, h, Some(content.clone())));
    assert_screens!("media_tables_end", |w, h| {
        let mut panel = at(Tab::Tables, w, h, Some(content.clone()));
        press(&mut panel, "> PageDown PageDown PageDown PageDown");
        panel
    });
}

#[test]
fn embeddings() {
    assert_screens!("media_embeddings", |w, h| {
        let projection = Projection {
            points: (0..40).map(|i| (f64::from(i).cos(), f64::from(i).sin())).collect(),
            labels: (0..40)
                .map(|i| if i < 25 { "rococo" } else { "baroque" }.to_string())
                .collect(),
            dimensions: 3,
            variance: (0.75, 0.2),
            count: 40,
        };
        at(Tab::Embeddings, w, h, Some(MediaContent::Projection(Arc::new(projection))))
    });
}
