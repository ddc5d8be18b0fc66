//! Addresses as SES checks them: JavaMail's strict check and its messages.

/// The address itself, of `Name <address>` or of `address`.
pub(super) fn bare(address: &str) -> &str {
    let address = address.trim();
    match (address.rfind('<'), address.strip_suffix('>')) {
        (Some(open), Some(inner)) if open < inner.len() => inner[open + 1..].trim(),
        _ => address,
    }
}

/// Why SES refuses an address, if it does.
pub(super) fn check(address: &str) -> Result<(), &'static str> {
    let Some((local, domain)) = bare(address).rsplit_once('@') else {
        return Err("Missing final '@domain'");
    };
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    if local.is_empty() {
        return Err("Missing local name");
    }
    if !quoted && local.chars().any(is_control_or_whitespace) {
        return Err("Local address contains control or whitespace");
    }
    if domain.is_empty() {
        return Err("Missing domain");
    }
    if domain.chars().any(is_control_or_whitespace) {
        return Err("Domain contains control or whitespace");
    }
    if domain.starts_with('.') {
        return Err("Domain starts with dot");
    }
    if domain.contains("..") {
        return Err("Domain contains dot-dot");
    }
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
    if !domain.chars().all(allowed) {
        return Err("Domain contains illegal character");
    }
    Ok(())
}

fn is_control_or_whitespace(character: char) -> bool {
    character <= ' ' || character >= '\x7f'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_is_not_the_address() {
        assert_eq!(bare("Sita <sita@example.com>"), "sita@example.com");
        assert_eq!(bare(" sita@example.com "), "sita@example.com");
        assert_eq!(bare(">"), ">");
        assert!(check("Sítā <sita@example.com>").is_ok());
    }

    #[test]
    fn refusals_have_the_words_of_javamail() {
        let refused = [
            ("nobody", "Missing final '@domain'"),
            ("sita@", "Missing domain"),
            ("si ta@example.com", "Local address contains control or whitespace"),
            ("sita@exa mple.com", "Domain contains control or whitespace"),
            ("sita@.example.com", "Domain starts with dot"),
            ("sita@example..com", "Domain contains dot-dot"),
            ("sita@exam_ple.com", "Domain contains illegal character"),
        ];
        for (address, message) in refused {
            assert_eq!(check(address), Err(message), "{address}");
        }
    }
}
