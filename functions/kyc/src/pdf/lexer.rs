//! The tokens of a PDF, and its dictionaries.

const END_OF_STREAM: &[u8] = b"endstream";

/// What a dictionary says at its own level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dictionary {
    pub(super) is_encrypted: bool,
    pub(super) is_cross_reference: bool,
    pub(super) previous: Option<usize>,
    pub(super) length: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    DictionaryStart,
    DictionaryEnd,
    ArrayStart,
    ArrayEnd,
    /// As it is written, without the slash.
    Name(&'a [u8]),
    Number(usize),
    Word(&'a [u8]),
    /// A text, or a number that is no place in a file.
    Other,
}

/// Reads tokens as ISO 32000-1, 7.2 and 7.3 describe them.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

/// Words that no dictionary contains.
pub(super) fn is_keyword(word: &[u8]) -> bool {
    matches!(word, b"obj" | b"endobj" | b"stream" | b"endstream" | b"trailer" | b"startxref")
}

fn is_delimiter(byte: u8) -> bool {
    b"()<>[]{}/%".contains(&byte)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Passes over what comes before the first byte that meets `is_end`.
    fn take_until(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| is_end(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.take_until(|byte| !is_space(byte));
            if self.rest().first()? != &b'%' {
                break;
            }
            self.take_until(|byte| matches!(byte, b'\n' | b'\r'));
        }
        let rest = self.rest();
        let (token, length) = match rest {
            [b'<', b'<', ..] => (Token::DictionaryStart, 2),
            [b'>', b'>', ..] => (Token::DictionaryEnd, 2),
            [b'[', ..] => (Token::ArrayStart, 1),
            [b']', ..] => (Token::ArrayEnd, 1),
            [b'(', ..] => {
                self.literal();
                return Some(Token::Other);
            }
            [b'<', ..] => {
                self.take_until(|byte| byte == b'>');
                (Token::Other, 1)
            }
            [b'/', ..] => {
                self.at += 1;
                let name = self.take_until(|byte| is_space(byte) || is_delimiter(byte));
                return Some(Token::Name(name));
            }
            [byte, ..] if is_delimiter(*byte) => (Token::Other, 1),
            _ => {
                let word = self.take_until(|byte| is_space(byte) || is_delimiter(byte));
                return Some(Self::word(word));
            }
        };
        self.at += length;
        Some(token)
    }

    fn word(word: &'a [u8]) -> Token<'a> {
        let digits = word.strip_prefix(b"+").unwrap_or(word);
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        match number {
            Some(number) => Token::Number(number),
            None if word.iter().any(u8::is_ascii_alphabetic) => Token::Word(word),
            None => Token::Other,
        }
    }

    /// A text in parentheses, which may be nested.
    fn literal(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.rest().first() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'(' => depth += 1,
                b')' if depth <= 1 => return,
                b')' => depth -= 1,
                _ => {}
            }
        }
    }

    /// The dictionary that comes next. One that is not closed ends before a word that none contains,
    /// so that nothing is read twice.
    pub(super) fn dictionary(&mut self) -> Option<Dictionary> {
        let start = self.at;
        if self.next()? != Token::DictionaryStart {
            self.at = start;
            return None;
        }
        let (mut found, mut key, mut depth) = (Dictionary::default(), None, 1_usize);
        loop {
            let before = self.at;
            let token = self.next()?;
            if matches!(token, Token::Word(word) if is_keyword(word)) {
                self.at = before;
                return None;
            }
            if depth == 1 {
                match (key.take(), token) {
                    (None, Token::Name(name)) => key = Some(unescaped(name)),
                    (Some(key), value) => found.set(&key, value),
                    (None, _) => {}
                }
            }
            match token {
                Token::DictionaryStart | Token::ArrayStart => depth += 1,
                Token::DictionaryEnd | Token::ArrayEnd => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(found);
            }
        }
    }

    /// Passes over the rest of a stream, which is the rest of the file where it has no end.
    pub(super) fn pass_to_the_end_of_a_stream(&mut self) {
        let rest = self.rest();
        let end = rest.windows(END_OF_STREAM.len()).position(|window| window == END_OF_STREAM);
        self.at += end.map_or(rest.len(), |at| at + END_OF_STREAM.len());
    }

    /// Passes over the stream that comes next, if one comes and is as long as its dictionary says. It
    /// may contain the word that ends one.
    pub(super) fn pass_stream(&mut self, length: usize) {
        let mut after = self.clone();
        if after.next() != Some(Token::Word(b"stream")) {
            return;
        }
        after.at += match after.rest() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        after.at = after.at.saturating_add(length);
        // Only the line end that belongs there is passed over: more would let a file be read again
        // and again.
        let rest = after.rest();
        let line_end = rest.iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if rest[line_end..].starts_with(END_OF_STREAM) {
            after.at += line_end + END_OF_STREAM.len();
            *self = after;
        }
    }
}

impl Dictionary {
    fn set(&mut self, key: &[u8], value: Token<'_>) {
        let number = match value {
            Token::Number(number) => Some(number),
            _ => None,
        };
        match key {
            b"Encrypt" => self.is_encrypted = value != Token::Word(b"null"),
            b"Type" => self.is_cross_reference = value == Token::Name(b"XRef"),
            b"Prev" => self.previous = number,
            b"Length" => self.length = number,
            _ => {}
        }
    }
}

/// A name without its escapes: `/Encr#79pt` is `/Encrypt`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*name.get(at)?).to_digit(16);
    let (mut plain, mut at) = (Vec::with_capacity(name.len()), 0);
    while let Some(byte) = name.get(at) {
        let escaped = digit(at + 1).zip(digit(at + 2)).filter(|_| *byte == b'#');
        match escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()) {
            Some(byte) => (plain.push(byte), at += 3),
            None => (plain.push(*byte), at += 1),
        };
    }
    plain
}
