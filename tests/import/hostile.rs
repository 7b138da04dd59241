//! Archives that are damaged or malicious.

use std::io::{Cursor, Write};

use blazetune::data::ArchiveLimits;
use blazetune::data::options::ImportOptions;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{
    Files, Place, csv, files, gzipped, imported, ordinary, png, refusal, replaced, tar, tar_entry,
    zip, zip_by,
};

fn zip_and_tar(files: &Files) -> [Vec<u8>; 2] {
    [zip(files), tar(files)]
}

/// A tar of [`ordinary`] with one more entry.
fn tar_with(name: &[u8], content: &[u8], kind: tar::EntryType) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in &ordinary() {
        tar_entry(&mut tar, name.as_bytes(), content, tar::EntryType::Regular);
    }
    tar_entry(&mut tar, name, content, kind);
    tar.into_inner().unwrap()
}

#[test]
fn entries_that_would_be_written_outside_the_folder_are_refused() {
    for name in ["../evil.png", "images/../../evil.png", "/etc/evil.png", "C:/evil.png"] {
        let mut all = ordinary();
        all.push((name.to_owned(), png(1)));
        for archive in zip_and_tar(&all) {
            let text = refusal(&archive);
            assert!(text.contains(&format!("{name:?}")) && text.contains("outside"), "{text}");
        }
    }
    let mut all = ordinary();
    all.push(("..\\evil.png".to_owned(), png(1)));
    assert!(refusal(&zip(&all)).contains("outside"));
}

#[test]
fn links_and_devices_are_left_out_and_reported() {
    let mut archives = Vec::new();
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char] {
        archives.push(tar_with(b"images/link.png", b"", kind));
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in &ordinary() {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.add_symlink("images/link.png", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    archives.push(zip.finish().unwrap().into_inner());
    for archive in archives {
        let (_place, dataset) = imported(&archive).unwrap();
        assert_eq!(dataset.manifest.pictures.len(), 8);
        let told: Vec<_> =
            dataset.manifest.report.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["images/link.png: is a link or a device; it was left out"]);
    }
}

#[test]
fn a_damaged_entry_of_a_zip_is_left_out_and_reported() {
    let all = ordinary();
    let (third, table) = (all[2].1.clone(), all[8].1.clone());
    let stored = zip_by(CompressionMethod::Stored, &all);
    let damaged = |content: &[u8]| {
        let mut archive = stored.clone();
        let at = archive.windows(content.len()).position(|bytes| bytes == content).unwrap();
        archive[at + content.len() / 2] ^= 0xff;
        archive
    };
    let (_place, dataset) = imported(&damaged(&third)).unwrap();
    let names: Vec<_> = dataset.manifest.pictures.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), 7);
    assert!(!names.contains(&"images/2.png"), "{names:?}");
    let told = dataset.manifest.report.problems[0].to_string();
    assert!(told.starts_with("images/2.png: is damaged (Invalid checksum)"), "{told}");
    let text = refusal(&damaged(&table));
    assert!(text.contains("\"annotations.csv\" of the archive is damaged"), "{text}");
}

#[test]
fn encrypted_entries_are_refused() {
    let mut archive = zip(&ordinary());
    for (signature, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        for at in 0..archive.len() - 30 {
            if archive[at..].starts_with(signature) {
                archive[at + flags] |= 1;
            }
        }
    }
    let text = refusal(&archive);
    assert!(text.contains("encrypted") && text.contains("without a password"), "{text}");
}

#[test]
fn an_unusual_compression_is_refused_with_the_name_of_the_entry() {
    // Method 9 is Deflate64, which some systems choose for large files.
    let mut archive = zip(&files(&[("annotations.csv", &csv("a.png,1,1,2,2\n"))]));
    archive[8] = 9;
    let central = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[central + 10] = 9;
    let text = refusal(&archive);
    assert!(text.contains("annotations.csv") && text.contains("plain zip"), "{text}");
}

#[test]
fn archives_that_unpack_to_far_more_than_their_size_are_refused() {
    let mut all = ordinary();
    all.push(("zeros.csv".to_owned(), vec![0; 120 << 20]));
    for archive in [zip(&all), gzipped(&tar(&all))] {
        let text = refusal(&archive);
        assert!(text.contains("unpacks to more than"), "{text}");
    }
}

#[test]
fn an_endless_tar_header_does_not_fill_the_memory() {
    let name = vec![b'a'; 16 << 20];
    let archive = gzipped(&tar_with(b"././@LongLink", &name, tar::EntryType::GNULongName));
    let place = Place::with(&archive);
    let error = place.import(&ImportOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "the archive is damaged or cut off; upload it again");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(cause.is_some_and(|cause| cause.contains("header is too long")));
}

#[test]
fn limits_on_entries_files_and_bytes_are_enforced() {
    let refused = |archive: &[u8], limits: ArchiveLimits| {
        let options = ImportOptions { archive: limits, ..ImportOptions::default() };
        Place::with(archive).import(&options).unwrap_err().to_string()
    };
    let mut all = ordinary();
    let mut dice = Pcg64Mcg::seed_from_u64(1);
    all.push(("scan.png".to_owned(), (0..3000).map(|_| dice.random()).collect()));
    let size = 3000;
    let sum: u64 = all.iter().map(|(_, content)| content.len() as u64).sum();
    for archive in zip_and_tar(&all).into_iter().chain([gzipped(&tar(&all))]) {
        let limits = ArchiveLimits { entries: 9, ..ArchiveLimits::default() };
        assert_eq!(refused(&archive, limits), "the archive has more than 9 entries");
        let limits = ArchiveLimits { file_bytes: size - 1, ..ArchiveLimits::default() };
        let options = ImportOptions { archive: limits, ..ImportOptions::default() };
        let manifest = Place::with(&archive).import(&options).unwrap();
        assert_eq!(manifest.pictures.len(), 8);
        let told: Vec<_> = manifest.report.problems.iter().map(ToString::to_string).collect();
        let expected =
            "scan.png: is larger than 2999 bytes, the limit for one file; it was left out";
        assert_eq!(told, [expected]);
        let limits = ArchiveLimits { unpacked_bytes: sum - 1000, ..ArchiveLimits::default() };
        let text = refused(&archive, limits);
        assert!(text.contains("unpacks to more than"), "{text}");
        // An archive exactly at the limits is imported.
        let limits = ArchiveLimits { entries: 10, file_bytes: size, unpacked_bytes: sum };
        let options = ImportOptions { archive: limits, ..ImportOptions::default() };
        Place::with(&archive).import(&options).unwrap();
    }
}

#[test]
fn anything_but_an_archive_is_refused() {
    for bytes in [&b""[..], b"hello", &png(3), &gzipped(b"hello"), &[0; 2048]] {
        assert_eq!(refusal(bytes), "the upload is not a zip, tar or tar.gz archive");
    }
    assert!(refusal(b"PK\x03\x04 but nothing more").contains("damaged"));
}

#[test]
fn an_archive_that_was_cut_off_is_never_imported() {
    let all = ordinary();
    let tar = tar(&all);
    // A tar ends with 1,024 zero bytes, of which the first 512 suffice.
    let whole_tar = tar.len() - 512;
    for (archive, end) in
        [(zip(&all), usize::MAX), (tar.clone(), whole_tar), (gzipped(&tar), usize::MAX)]
    {
        let end = end.min(archive.len());
        let blocks = (512..end).step_by(512);
        for cut in (0..end).step_by(997).chain(blocks).chain([end - 1]) {
            let result = imported(&archive[..cut]);
            assert!(result.is_err(), "imported although cut off at {cut} of {}", archive.len());
        }
    }
}

#[test]
fn flipped_bytes_cause_an_error_at_worst() {
    let all = ordinary();
    let archives = [zip(&all), tar(&all), gzipped(&tar(&all))];
    let mut dice = Pcg64Mcg::seed_from_u64(1);
    for round in 0..150 {
        let mut archive = archives[round % 3].clone();
        for _ in 0..dice.random_range(1..20) {
            let at = dice.random_range(0..archive.len());
            archive[at] = dice.random();
        }
        let _ = imported(&archive); // `imported` checks what is on disk afterwards.
    }
}

#[test]
fn only_one_of_several_files_with_the_same_name_is_used() {
    let rows = csv("a.png,1,1,5,5\nc.png,1,1,5,5\n");
    let (a, b, c) = (png(10), png(200), png(90));
    let all = [("a.png", &a[..]), ("b.png", &b), ("c.png", &c), ("annotations.csv", &rows)];
    let archive = replaced(zip(&files(&all)), b"b.png", b"a.png");
    let (_place, dataset) = imported(&archive).unwrap();
    assert_eq!(dataset.manifest.pictures.len(), 2, "{:?}", dataset.manifest);

    let twice = all.map(|(name, content)| (if name == "b.png" { "a.png" } else { name }, content));
    let twice = [&twice[..], &[("annotations.csv", &rows)]].concat();
    let (_place, dataset) = imported(&tar(&files(&twice))).unwrap();
    let summary = dataset.manifest.summary();
    assert_eq!((summary.images, summary.faces), (2, 2));
    assert_eq!(dataset.manifest.report.counts["duplicate file"], 2);
    let first = dataset.picture(0).unwrap().unwrap();
    assert_eq!(first.get_pixel(128, 96)[0], 10, "not the later one");
}

#[test]
fn names_that_are_not_utf8_do_no_harm_and_utf8_need_not_be_declared() {
    let mut all = ordinary();
    all.push(("grün.png".to_owned(), png(7)));
    let latin = b"gr\xfcnn.png";
    let archive = replaced(zip(&all), "grün.png".as_bytes(), latin);
    let in_tar = tar_with(latin, &png(7), tar::EntryType::Regular);
    for archive in [archive, in_tar] {
        let (_place, dataset) = imported(&archive).unwrap();
        assert_eq!(dataset.manifest.pictures.len(), 9);
    }
    let mut archive = zip(&all);
    let mut cleared = 0;
    for (signature, flags) in [(b"PK\x03\x04", 7), (b"PK\x01\x02", 9)] {
        for at in 0..archive.len() - 30 {
            if archive[at..].starts_with(signature) {
                cleared += u32::from(archive[at + flags] & 8 != 0);
                archive[at + flags] &= !8;
            }
        }
    }
    assert_eq!(cleared, 2, "both flags were found");
    let (_place, dataset) = imported(&archive).unwrap();
    assert!(dataset.manifest.pictures.iter().any(|picture| picture.name == "grün.png"));
}

#[test]
fn files_that_operating_systems_add_are_skipped() {
    let mut all = ordinary();
    for name in ["__MACOSX/images/._0.png", "images/.DS_Store", "images/._1.png", ".hidden/x.csv"] {
        all.push((name.to_owned(), b"not a picture".to_vec()));
    }
    for archive in zip_and_tar(&all) {
        let (_place, dataset) = imported(&archive).unwrap();
        assert_eq!(dataset.manifest.pictures.len(), 8);
        assert!(dataset.manifest.report.counts.is_empty(), "{:?}", dataset.manifest.report);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("images", SimpleFileOptions::default()).unwrap();
    for (name, content) in &ordinary() {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    imported(&zip.finish().unwrap().into_inner()).unwrap();
}

#[test]
fn a_zip_that_states_too_many_entries_is_refused_before_they_are_read() {
    let mut archive = zip(&ordinary());
    let end = archive.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
    archive[end + 8..end + 12].copy_from_slice(&[0xFF, 0x7F, 0xFF, 0x7F]);
    let limits = ArchiveLimits { entries: 1000, ..ArchiveLimits::default() };
    let options = ImportOptions { archive: limits, ..ImportOptions::default() };
    let error = Place::with(&archive).import(&options).unwrap_err();
    assert_eq!(error.to_string(), "the archive has more than 1000 entries");
}
