//! The `admin` function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::lambda::serve_with_schedule(async |environment| {
        let sweeper = admin::Sweeper::new(environment);
        Ok((admin::router(environment).await?, move || sweeper.clone().sweep()))
    })
    .await
}
