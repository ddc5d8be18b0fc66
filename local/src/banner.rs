//! What the command prints: what is served where, and lines to paste.

use std::fmt::{self, Display};

use crate::{
    aws::{CREDENTIAL, Endpoints, REGION},
    options::Options,
};

/// The number that the printed sign-up uses, a mobile one of Nepal.
const PHONE: &str = "+9779841234567";

/// The text from the first line to `ready`.
pub struct Banner<'a> {
    /// The API.
    pub base_url: &'a str,
    /// The services.
    pub endpoints: &'a Endpoints,
    /// What the stack was started with.
    pub options: &'a Options,
}

impl Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base_url, endpoints, options } = self;
        let data = match &options.data_dir {
            Some(directory) => format!("kept in {}", directory.display()),
            None => "in memory, gone at the end".to_owned(),
        };
        if !options.aws_only {
            writeln!(f, "API       {base_url}")?;
        }
        writeln!(f, "DynamoDB  {}", endpoints.dynamodb)?;
        writeln!(f, "S3        {}", endpoints.s3)?;
        writeln!(f, "SNS       {}", endpoints.sns)?;
        writeln!(f, "SES       {}", endpoints.ses)?;
        writeln!(f, "data      {data}")?;
        for identifier in &options.staff {
            writeln!(f, "staff     {identifier}, once registered")?;
        }
        if options.aws_only {
            writeln!(f, "messages  {base_url}/_local/messages\n")?;
            self.exports(f)?;
            return write!(f, "ready {base_url}");
        }
        writeln!(
            f,
            "messages  {base_url}/_local/messages (also clock, costs, metrics, faults, reset)\n"
        )?;
        self.exports(f)?;
        self.sign_up(f)?;
        write!(f, "ready {base_url}")
    }
}

impl Banner<'_> {
    fn exports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self.endpoints;
        writeln!(f, "# The AWS command line against these services:")?;
        writeln!(f, "export AWS_ENDPOINT_URL_DYNAMODB={}", endpoints.dynamodb)?;
        writeln!(f, "export AWS_ENDPOINT_URL_S3={}", endpoints.s3)?;
        writeln!(f, "export AWS_ENDPOINT_URL_SNS={}", endpoints.sns)?;
        writeln!(f, "export AWS_ENDPOINT_URL_SESV2={}", endpoints.ses)?;
        writeln!(f, "export AWS_REGION={REGION}")?;
        // What version 1 of the command line reads.
        writeln!(f, "export AWS_DEFAULT_REGION={REGION}")?;
        writeln!(f, "export AWS_ACCESS_KEY_ID={CREDENTIAL}")?;
        writeln!(f, "export AWS_SECRET_ACCESS_KEY={CREDENTIAL}\n")
    }

    /// Three lines for a shell: each is one step, with what the next one needs in a variable.
    fn sign_up(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.base_url;
        let json = "-H 'content-type: application/json' -d";
        writeln!(f, "# A sign-up, line by line:")?;
        writeln!(
            f,
            r#"curl -s {url}/auth/otp/request {json} '{{"identifier":"{PHONE}","purpose":"REGISTER"}}'"#
        )?;
        writeln!(
            f,
            r#"token=$(curl -s {url}/auth/otp/verify {json} '{{"identifier":"{PHONE}","purpose":"REGISTER","otp":"'$(curl -s '{url}/_local/messages?to={PHONE}' | grep -o '"code":"[0-9]*"' | head -n 1 | cut -d '"' -f 4)'"}}' | grep -o '"verification_token":"[^"]*"' | cut -d '"' -f 4)"#
        )?;
        writeln!(
            f,
            r#"curl -s {url}/auth/register {json} '{{"username":"sita","password":"five brass bells at dawn","phone_number":"{PHONE}","verification_token":"'$token'"}}'"#
        )?;
        writeln!(f)
    }
}
