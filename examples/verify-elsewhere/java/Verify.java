import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.text.ParseException;
import java.util.Map;
import java.util.Set;

/**
 * Verifies Carnet's access tokens (RFC 9068 section 4) with Nimbus and nothing but the issuer's URL.
 *
 * <p>{@code java -cp 'target/dependency/*' Verify.java ISSUER AUDIENCE < tokens}: one token a line; for each it prints {@code
 * accepted SUBJECT} or {@code refused REASON}. {@code mvn dependency:copy-dependencies} fetches what it needs.
 */
public final class Verify {
  /** What the issuer signs with ({@code signing_algorithm}); two while that changes. Never a symmetric one. */
  private static final Set<JWSAlgorithm> ALGORITHMS = Set.of(JWSAlgorithm.ES256);

  private static final int PATIENCE = 5_000;
  private static final int LONGEST_ANSWER = 64 * 1024;
  private static final long OUTAGE = 24 * 60 * 60 * 1000L;
  private static final DefaultResourceRetriever RETRIEVER =
      new DefaultResourceRetriever(PATIENCE, PATIENCE, LONGEST_ANSWER);

  private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

  private Verify(String issuer, String audience) throws IOException, ParseException {
    Map<String, Object> metadata = JSONObjectUtils.parse(
        RETRIEVER.retrieveResource(URI.create(issuer + "/.well-known/openid-configuration").toURL()).getContent());
    if (!issuer.equals(metadata.get("issuer"))) {
      throw new IOException("The metadata is of " + metadata.get("issuer") + ", not of " + issuer);
    }
    URI keysAt = URI.create(JSONObjectUtils.getString(metadata, "jwks_uri"));
    // Kept for five minutes; fetched again for a kid that it lacks, at most each 30 s; kept for a day while the issuer is away.
    JWKSource<SecurityContext> keys =
        JWKSourceBuilder.<SecurityContext>create(keysAt.toURL(), RETRIEVER).outageTolerant(OUTAGE).build();
    // An ID token or a logout token is no access token.
    processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
    processor.setJWSKeySelector(new JWSVerificationKeySelector<>(ALGORITHMS, keys));
    DefaultJWTClaimsVerifier<SecurityContext> claims = new DefaultJWTClaimsVerifier<>(
        Set.of(audience),
        new JWTClaimsSet.Builder().issuer(issuer).build(),
        Set.of("exp", "iat", "sub", "client_id", "jti"),
        // RFC 9449 section 7.1, RFC 8705 section 3: whoever does not ask for the proof must not take a bound token.
        Set.of("cnf"));
    claims.setMaxClockSkew(0);
    processor.setJWTClaimsSetVerifier(claims);
  }

  private JWTClaimsSet verify(String token) throws ParseException, BadJOSEException, JOSEException {
    return processor.process(SignedJWT.parse(token), null); // signed, or not parsed at all
  }

  /** Reads tokens from standard input. */
  public static void main(String[] arguments) throws IOException, ParseException {
    if (arguments.length != 2) {
      System.err.println("usage: java -cp 'target/dependency/*' Verify.java ISSUER AUDIENCE < tokens");
      System.exit(2);
    }
    Verify verifier = new Verify(arguments[0], arguments[1]);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String token = lines.readLine(); token != null; token = lines.readLine()) {
      try {
        System.out.println("accepted " + verifier.verify(token).getSubject());
      } catch (ParseException | BadJOSEException | JOSEException refusal) {
        System.out.println("refused " + refusal.getMessage());
      }
    }
  }
}
