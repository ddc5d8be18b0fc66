//! What must be known of a PDF before staff are asked to open it: whether it is one, and whether it
//! is encrypted. Pure.
//!
//! Nothing is decompressed or decrypted, so no crate for PDF is needed: the trailer that says that a
//! file is encrypted is in the clear. It is looked for where readers look for it, from the end; only
//! in a file whose end is damaged all objects are searched, as readers do to repair one. What pages,
//! comments and attachments contain therefore does not count.

mod lexer;

use lexer::{Dictionary, Lexer, Token, is_keyword};

/// Bytes that may come before the header, as readers accept it.
const MAX_JUNK_BYTES: usize = 1_024;
const HEADER: &[u8] = b"%PDF-";
/// Revisions that are looked at, and how many times its own length a file is read for them. No
/// program writes more.
const MAX_REVISIONS: usize = 256;
const MAX_PASSES: usize = 4;

/// Where the header of a PDF is; `None` if it is none.
pub(crate) fn header(bytes: &[u8]) -> Option<usize> {
    let beginning = &bytes[..bytes.len().min(MAX_JUNK_BYTES + HEADER.len())];
    beginning.windows(HEADER.len()).position(|window| window == HEADER)
}

/// Whether a PDF with its header at `header_at` is encrypted: whether a trailer of any of its
/// revisions says so.
pub(crate) fn is_encrypted(bytes: &[u8], header_at: usize) -> bool {
    // Places are counted from the header, but some programs that put something before it count from
    // the beginning of the file.
    let bases = [header_at, 0];
    let newest = startxref(bytes).and_then(|at| {
        bases.into_iter().find_map(|base| Some((base, trailer(bytes, base.checked_add(at)?)?)))
    });
    match newest {
        Some((base, newest)) => of_revisions(bytes, base, newest),
        None => of_any_object(bytes, header_at),
    }
}

/// The place of the newest cross-reference section, as the end of the file says.
fn startxref(bytes: &[u8]) -> Option<usize> {
    const KEYWORD: &[u8] = b"startxref";
    let at = bytes.windows(KEYWORD.len()).rposition(|window| window == KEYWORD)?;
    match (Lexer { bytes, at: at + KEYWORD.len() }).next() {
        Some(Token::Number(at)) => Some(at),
        _ => None,
    }
}

/// Follows the trailers of earlier revisions. A file that leads in circles is followed no further.
fn of_revisions(bytes: &[u8], base: usize, newest: (Dictionary, usize)) -> bool {
    let (mut revision, mut read) = newest;
    for _ in 0..MAX_REVISIONS {
        if revision.is_encrypted {
            return true;
        }
        let place = revision.previous.and_then(|at| base.checked_add(at));
        let older = place.filter(|_| read <= bytes.len().saturating_mul(MAX_PASSES));
        let Some((older, more)) = older.and_then(|at| trailer(bytes, at)) else { return false };
        (revision, read) = (older, read + more);
    }
    revision.is_encrypted
}

/// The trailer of the cross-reference section at `at`, a table or a stream, and how many bytes were
/// read for it.
fn trailer(bytes: &[u8], at: usize) -> Option<(Dictionary, usize)> {
    let mut lexer = Lexer { bytes, at };
    let dictionary = match lexer.next()? {
        Token::Word(b"xref") => {
            let mut token = lexer.next()?;
            // The rows of the table.
            while matches!(token, Token::Number(_) | Token::Word(b"n" | b"f")) {
                token = lexer.next()?;
            }
            (token == Token::Word(b"trailer")).then(|| lexer.dictionary()).flatten()?
        }
        Token::Number(_) => {
            let (generation, keyword) = (lexer.next()?, lexer.next()?);
            let is_object =
                matches!(generation, Token::Number(_)) && keyword == Token::Word(b"obj");
            let dictionary = is_object.then(|| lexer.dictionary()).flatten()?;
            dictionary.is_cross_reference.then_some(dictionary)?
        }
        _ => return None,
    };
    Some((dictionary, lexer.at - at))
}

/// Whether a trailer or a cross-reference stream anywhere says so. Streams are passed over.
fn of_any_object(bytes: &[u8], header_at: usize) -> bool {
    let mut lexer = Lexer { bytes, at: header_at };
    while let Some(token) = lexer.next() {
        let keyword = match token {
            Token::Word(word) if is_keyword(word) => word,
            _ => continue,
        };
        match keyword {
            b"trailer" | b"obj" => {}
            b"stream" => {
                lexer.pass_to_the_end_of_a_stream();
                continue;
            }
            _ => continue,
        }
        let Some(dictionary) = lexer.dictionary() else { continue };
        if dictionary.is_encrypted && (keyword == b"trailer" || dictionary.is_cross_reference) {
            return true;
        }
        if let Some(length) = dictionary.length {
            lexer.pass_stream(length);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file of one object, with its cross-reference table after it.
    fn file(beginning: &str, object: &str, trailer: &str) -> Vec<u8> {
        let body = format!("%PDF-1.7\n1 0 obj\n{object}\nendobj\n");
        let table = format!("xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \n{trailer}");
        let at = body.len();
        format!("{beginning}{body}{table}\nstartxref\n{at}\n%%EOF\n").into_bytes()
    }

    /// A file whose cross references are a stream.
    fn file_of_streams(dictionary: &str) -> Vec<u8> {
        let body = "%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n";
        let stream = format!("7 0 obj\n{dictionary}\nstream\n\x01\x02\nendstream\nendobj\n");
        format!("{body}{stream}startxref\n{}\n%%EOF\n", body.len()).into_bytes()
    }

    fn says_encrypted(bytes: &[u8]) -> bool {
        is_encrypted(bytes, header(bytes).unwrap())
    }

    const PLAIN: &str = "trailer\n<</Size 2/Root 1 0 R>>";
    const ENCRYPTED: &str = "trailer\n<< /Root 1 0 R /Encrypt 5 0 R /ID [<aa> <bb>] >>";
    const CATALOG: &str = "<</Type/Catalog>>";

    #[test]
    fn a_header_may_come_after_1024_bytes() {
        for junk in ["", "\u{feff}", "\n", "\r\n\r\n", "\x1b%-12345X@PJL JOB\r\n", "%P%PDF"] {
            let bytes = format!("{junk}%PDF-1.4");
            assert_eq!(header(bytes.as_bytes()), Some(junk.len()), "{junk:?}");
        }
        for (length, expected) in [(1_023, true), (1_024, true), (1_025, false)] {
            let bytes = format!("{}%PDF-1.4", " ".repeat(length));
            assert_eq!(header(bytes.as_bytes()).is_some(), expected, "{length}");
        }
        for bytes in ["", "%PDF", "%pdf-1.4", "PDF-1.4", "<html>"] {
            assert_eq!(header(bytes.as_bytes()), None, "{bytes}");
        }
    }

    /// A length that leads into a run of blanks is not believed: each object could lead into it, and
    /// the run would be read once for each.
    #[test]
    fn a_stream_ends_right_after_its_length_or_at_the_next_end() {
        for (gap, is_believed) in [("", true), ("\n", true), ("\r\n", true), ("  ", false)] {
            let text = format!("stream\nendstream{gap}endstream rest");
            let mut lexer = Lexer { bytes: text.as_bytes(), at: 0 };
            lexer.pass_stream("endstream".len());
            assert_eq!(
                lexer.at,
                if is_believed { text.len() - " rest".len() } else { 0 },
                "{gap:?}"
            );
        }
    }

    #[test]
    fn a_trailer_says_whether_a_file_is_encrypted() {
        let others = [
            "trailer<</Encrypt<</Filter/Standard/V 2>>/Root 1 0 R>>",
            "trailer\r<</Root 1 0 R\r/Encr#79pt 5 0 R>>",
            "trailer % (\n<</Info(a \\) >> (b)c)/ID[<00><00>]/Encrypt 5 0 R>>",
        ];
        for trailer in [ENCRYPTED].into_iter().chain(others) {
            assert!(says_encrypted(&file("", CATALOG, trailer)), "{trailer}");
        }
        let plain = [
            PLAIN,
            "trailer<</Root 1 0 R/Encrypt null>>",
            "trailer<</Info(/Encrypt 5 0 R)/Root 1 0 R>>",
            "trailer<</Root<</Encrypt 5 0 R>>/EncryptMetadata true>>",
            "trailer<</Root 1 0 R/Author/Encrypt>>",
            "trailer<</Root 1 0 R%/Encrypt 5 0 R\n>>",
        ];
        for trailer in plain {
            assert!(!says_encrypted(&file("", CATALOG, trailer)), "{trailer}");
        }
    }

    #[test]
    fn a_cross_reference_stream_says_it_too() {
        let stream = "<</Type/XRef/W[1 2 1]/Root 1 0 R/Encrypt 5 0 R/Length 2>>";
        assert!(says_encrypted(&file_of_streams(stream)));
        assert!(!says_encrypted(&file_of_streams("<</Type/XRef/W[1 2 1]/Root 1 0 R/Length 2>>")));
    }

    /// Places may be counted from the header or from the beginning of the file.
    #[test]
    fn junk_before_the_header_hides_nothing() {
        let junk = "\x1b%-12345X@PJL\r\n";
        for trailer in [PLAIN, ENCRYPTED] {
            let from_header = file(junk, CATALOG, trailer);
            let text = String::from_utf8(from_header.clone()).unwrap();
            let at = text.find("xref\n0 2").unwrap();
            let (start, _) = text.rsplit_once("startxref").unwrap();
            let from_beginning = format!("{start}startxref\n{at}\n%%EOF").into_bytes();
            for bytes in [from_header, from_beginning] {
                assert_eq!(says_encrypted(&bytes), trailer == ENCRYPTED);
            }
        }
    }

    #[test]
    fn what_pages_comments_and_attachments_contain_does_not_count() {
        let attachment = String::from_utf8(file("", CATALOG, ENCRYPTED)).unwrap();
        let length = attachment.len();
        let stream = format!("<</Length {length}>>\nstream\n{attachment}\nendstream");
        let text = format!("<</Title({ENCRYPTED})/Encrypt 5 0 R>>");
        let comment = format!("{CATALOG}\n%{}", ENCRYPTED.replace('\n', " "));
        for object in [stream, text, comment] {
            let bytes = file("", &object, PLAIN);
            assert!(!says_encrypted(&bytes), "{object}");
            let (damaged, _) = bytes.split_at(bytes.len() - "NN\n%%EOF\n".len() - 12);
            assert!(!says_encrypted(damaged), "damaged {object}");
        }
    }

    #[test]
    fn a_file_without_a_good_end_is_searched() {
        for (trailer, expected) in [(PLAIN, false), (ENCRYPTED, true)] {
            let text = String::from_utf8(file("", CATALOG, trailer)).unwrap();
            let (start, _) = text.rsplit_once("startxref").unwrap();
            for end in ["", "startxref\n7\n%%EOF", "startxref\n99999999999999999999", "startxref"] {
                let bytes = format!("{start}{end}").into_bytes();
                assert_eq!(says_encrypted(&bytes), expected, "{end}");
            }
        }
        let stream = "<</Type/XRef/Root 1 0 R/Encrypt 5 0 R/Length 2>>";
        let mut bytes = file_of_streams(stream);
        bytes.truncate(bytes.len() - 20);
        assert!(says_encrypted(&bytes));
    }

    #[test]
    fn revisions_are_followed_and_circles_are_left() {
        for (trailer, expected) in [(PLAIN, false), (ENCRYPTED, true)] {
            let mut bytes = file("", CATALOG, trailer);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let before = text.find("xref\n0 2").unwrap();
            let at = bytes.len();
            let more = format!("xref\n0 0\ntrailer<</Root 1 0 R/Prev {before}>>\nstartxref\n{at}");
            bytes.extend(more.bytes());
            assert_eq!(says_encrypted(&bytes), expected);
        }
        let at = String::from_utf8(file("", CATALOG, PLAIN)).unwrap().find("xref").unwrap();
        let circle = file("", CATALOG, &format!("trailer<</Root 1 0 R/Prev {at}>>"));
        assert_eq!(&circle[at..at + 4], b"xref");
        assert!(!says_encrypted(&circle));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            junk in prop::collection::vec(
                prop::sample::select(vec![
                    "<<", ">>", "[", "]", "(", ")", "<", "%", "\n", " ", "/", "#", "\\", "1 0 obj",
                    "endobj", "stream", "endstream", "trailer", "xref", "startxref", "5", "/Prev 3",
                    "/Length 99999999999999999999", "/Length 18446744073709551615", "/Encrypt", "null",
                    "/Type/XRef", "é",
                ]),
                0..60,
            ),
        ) {
            let bytes = format!("%PDF-{}", junk.concat());
            is_encrypted(bytes.as_bytes(), 0);
        }
    }
}
