import com.google.googlejavaformat.java.Main;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Checks (or, with {@code apply}, mends) the layout of every Java file below the working folder.
 */
static void main(String... args) throws Exception {
    boolean apply = args.length == 1 && args[0].equals("apply");
    var command = new ArrayList<>(List.of("--aosp"));
    command.addAll(apply ? List.of("--replace") : List.of("--dry-run", "--set-exit-if-changed"));
    command.addAll(sources());
    var unformatted = new StringWriter();
    var errors = new StringWriter();
    var formatter =
            new Main(
                    new PrintWriter(unformatted, true),
                    new PrintWriter(errors, true),
                    InputStream.nullInputStream());
    if (formatter.format(command.toArray(String[]::new)) != 0) {
        System.err.print(errors);
        unformatted
                .toString()
                .lines()
                .forEach(file -> System.err.println("Not formatted: " + file));
        System.err.println("To format all: mvn -q -pl format verify -Dformat=apply");
        System.exit(1);
    }
}

private static List<String> sources() throws IOException {
    try (Stream<Path> files = Files.walk(Path.of(""))) {
        return files.filter(file -> file.toString().endsWith(".java"))
                .filter(file -> !isGenerated(file))
                .map(Path::toString)
                .sorted()
                .toList();
    }
}

private static boolean isGenerated(Path file) {
    for (Path part : file) {
        if (part.toString().equals("target") || part.toString().startsWith(".")) {
            return true;
        }
    }
    return false;
}
