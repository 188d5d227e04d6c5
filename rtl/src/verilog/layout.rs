//! Lines of at most 120 characters.

/// Longest line \[characters\].
const WIDTH: usize = 120;

/// Appends a line of code, broken at spaces where it is too long.
pub fn code(text: &mut String, indent: usize, line: &str) {
    broken(text, indent, indent + 4, "", line);
}

/// Appends a comment, broken at spaces where it is too long.
pub fn comment(text: &mut String, indent: usize, words: &str) {
    for line in words.lines() {
        broken(text, indent, indent, "// ", line);
    }
}

fn broken(text: &mut String, first: usize, rest: usize, prefix: &str, line: &str) {
    let mut line = line.trim_end();
    let mut indent = first;
    loop {
        text.push_str(&" ".repeat(indent));
        text.push_str(prefix);
        let room = WIDTH - indent - prefix.len();
        let cut = (line.chars().count() > room).then(|| {
            let end = line.char_indices().nth(room).map_or(line.len(), |(at, _)| at);
            line[..end].rfind(' ').filter(|at| *at > 0).unwrap_or(end)
        });
        let Some(cut) = cut else {
            text.push_str(line);
            text.push('\n');
            return;
        };
        text.push_str(line[..cut].trim_end());
        text.push('\n');
        line = line[cut..].trim_start();
        indent = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_120_and_no_word_is_lost() {
        let words: Vec<String> = (0..90).map(|at| format!("{{lane_{at},")).collect();
        let mut text = String::new();
        code(&mut text, 2, &words.join(" "));
        comment(&mut text, 2, &words.join(" "));
        assert!(text.lines().all(|line| line.len() <= 120));
        let found: Vec<&str> = text.split_whitespace().filter(|word| *word != "//").collect();
        assert_eq!(found, [words.clone(), words].concat());
    }
}
