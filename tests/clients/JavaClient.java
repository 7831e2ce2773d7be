import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * java.net.http, as it is out of the box: it offers HTTP/2 with `Upgrade: h2c`. Does the jobs in a file, one a line, and
 * prints a line for each. Columns are parted by tabs: job, URL, and what the job needs.
 */
public class JavaClient {
    static final HttpClient CLIENT = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL).build();
    static final byte[] LINE = "0123456789abcdef\r\n\r\n\0".getBytes();

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] columns = line.split("\t", -1);
            System.out.println(switch (columns[0]) {
                case "ask" -> ask(columns);
                case "ticks" -> ticks(columns[1], columns[2]);
                case "many" -> many(columns[1]);
                case "talk" -> talk(columns[1]);
                default -> throw new IllegalArgumentException(columns[0]);
            });
        }
    }

    /** Columns: method, size of the body or -1, whether it is streamed, and one for each field. */
    static String ask(String[] columns) throws Exception {
        int size = Integer.parseInt(columns[3]);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(columns[1]));
        request.method(columns[2], size < 0 ? BodyPublishers.noBody() : body(size, columns[4].equals("true")));
        request.expectContinue(columns[5].equals("true"));
        for (int at = 6; at < columns.length; at++) {
            String[] field = columns[at].split(": ", 2);
            request.header(field[0], field[1]);
        }
        HttpResponse<byte[]> response = CLIENT.send(request.build(), BodyHandlers.ofByteArray());
        Stream<String> fields = response.headers().map().entrySet().stream()
            .flatMap(entry -> entry.getValue().stream().map(value -> entry.getKey() + ": " + value));
        Stream<Object> first = Stream.of(
            response.version(), response.statusCode(), response.body().length, sha256(response.body()));
        return Stream.concat(first.map(Object::toString), fields).collect(Collectors.joining("\t"));
    }

    static BodyPublisher body(int size, boolean streamed) {
        byte[] bytes = new byte[size];
        for (int at = 0; at < size; at++) bytes[at] = LINE[at % LINE.length];
        if (streamed) return BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes));
        return BodyPublishers.ofByteArray(bytes);
    }

    /** Each event lets the next one go. */
    static String ticks(String url, String mirror) throws Exception {
        List<String> events = new ArrayList<>();
        CLIENT.send(get(url), BodyHandlers.ofLines()).body().filter(line -> !line.isEmpty()).forEach(line -> {
            events.add(line);
            CLIENT.sendAsync(get(mirror + "/go"), BodyHandlers.discarding()).join();
        });
        return String.join("\t", events);
    }

    /** Forty at once; what they were answered. */
    static String many(String url) {
        List<CompletableFuture<String>> answers = IntStream.rangeClosed(1, 40)
            .mapToObj(count -> CLIENT.sendAsync(get(url + count), BodyHandlers.ofString())
                .thenApply(response -> response.version() + " " + response.body().strip()))
            .toList();
        return answers.stream().map(CompletableFuture::join).collect(Collectors.joining("\t"));
    }

    /** What a WebSocket hears: the greeting, two echoes, and the close. */
    static String talk(String url) throws Exception {
        List<String> heard = new ArrayList<>();
        CompletableFuture<String> closed = new CompletableFuture<>();
        CLIENT.newWebSocketBuilder().subprotocols("chat").buildAsync(URI.create(url), new WebSocket.Listener() {
            final StringBuilder text = new StringBuilder();

            public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
                text.append(data);
                socket.request(1);
                if (!last) return null;
                heard.add(text.length() < 100 ? text.toString() : sha256(text.toString().getBytes()));
                text.setLength(0);
                String[] script = {"hello", "x".repeat(1_000_000), "close"};
                return socket.sendText(script[heard.size() - 1], true);
            }

            public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
                closed.complete("closed " + code + " " + reason);
                return null;
            }

            public void onError(WebSocket socket, Throwable error) {
                closed.completeExceptionally(error);
            }
        }).join();
        heard.add(closed.get(5, TimeUnit.SECONDS));
        return String.join("\t", heard);
    }

    static HttpRequest get(String url) {
        return HttpRequest.newBuilder(URI.create(url)).build();
    }

    static String sha256(byte[] data) {
        try {
            return java.util.HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (java.security.NoSuchAlgorithmException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
