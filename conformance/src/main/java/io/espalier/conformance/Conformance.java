package io.espalier.conformance;

import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Runs PyTorch's reference cases on Espalier.
 *
 * <pre>{@code
 * Summary summary = Conformance.run(Path.of("conformance/vectors"), IO::println);
 * }</pre>
 */
public final class Conformance {
    private static final Map<String, Group> GROUPS =
            Stream.of(
                            new PruneGroup(),
                            new PruneTrainGroup(),
                            new ObserversGroup(),
                            new FakeQuantGroup(),
                            new QuantizeGroup(),
                            new FuseGroup(),
                            new PtqGroup(),
                            new QatGroup(),
                            new QConfigsGroup())
                    .collect(Collectors.toUnmodifiableMap(Group::name, group -> group));

    /** How many differences of one case are printed. */
    private static final int SHOWN = 3;

    /** Above this many characters a difference (a hostile name, say) is cut. */
    private static final int LONGEST = 400;

    private Conformance() {}

    /**
     * Runs every case of every group in a directory.
     *
     * @param directory holds {@code G.json} and {@code G.safetensors} for each group {@code G}
     * @param report is told each failure, and each group that is not supported, in one line
     * @throws EspalierException if the directory can't be read or holds no reference cases
     */
    public static Summary run(Path directory, Consumer<String> report) {
        Summary total = Summary.NONE;
        for (Path json : groups(directory)) {
            total = total.plus(runGroup(json, line -> report.accept(printable(line))));
        }
        return total;
    }

    /**
     * The cases kept with Espalier: {@code conformance/vectors} under the directory that the system
     * property {@code espalier.home} names, or else under the working directory.
     */
    public static Path kept() {
        return Path.of(System.getProperty("espalier.home", "")).resolve("conformance/vectors");
    }

    private static List<Path> groups(Path directory) {
        if (!Files.isDirectory(directory)) {
            throw new EspalierException(
                    "No directory "
                            + directory
                            + "; name one that holds reference cases, such as prune.json with"
                            + " prune.safetensors.");
        }
        try (Stream<Path> files = Files.list(directory)) {
            List<Path> groups =
                    files.filter(file -> file.getFileName().toString().endsWith(".json"))
                            .sorted()
                            .toList();
            if (groups.isEmpty()) {
                throw new EspalierException(
                        "No reference cases in "
                                + directory
                                + "; they stand in files such as prune.json, with"
                                + " prune.safetensors beside it.");
            }
            return groups;
        } catch (IOException | UncheckedIOException e) {
            throw new EspalierException(directory + " can't be read: " + e.getMessage(), e);
        }
    }

    /** A file that can't be read counts as one failure, and the others go on. */
    private static Summary runGroup(Path json, Consumer<String> report) {
        CaseFile file;
        try {
            file = CaseFile.read(json);
        } catch (EspalierException e) {
            report.accept("FAILED " + e.getMessage());
            return Summary.FAILURE;
        }
        Group group = GROUPS.get(file.group());
        if (group == null) {
            report.accept("skipped " + file.group() + ": this group is not supported yet");
            return Summary.skipped(file.entries().size());
        }
        Summary summary = Summary.NONE;
        for (CaseFile.Entry entry : file.entries()) {
            List<String> differences = differences(group, file, entry);
            differences.stream()
                    .limit(SHOWN)
                    .forEach(line -> report.accept("FAILED " + entry.id() + ": " + line));
            if (differences.size() > SHOWN) {
                int more = differences.size() - SHOWN;
                report.accept("FAILED " + entry.id() + ": and " + more + " more differences");
            }
            summary = summary.plus(differences.isEmpty() ? Summary.PASS : Summary.FAILURE);
        }
        return summary;
    }

    private static List<String> differences(Group group, CaseFile file, CaseFile.Entry entry) {
        try (var scope = new PointerScope()) {
            Case reference = file.understand(entry);
            return reference.error().isPresent()
                    ? fault(group, reference, reference.error().get())
                    : results(group, reference);
        } catch (MalformedCase e) {
            return List.of("the case can't be run: " + e.getMessage());
        } catch (RuntimeException e) {
            return List.of("expected results, came " + oneLine(e));
        }
    }

    private static List<String> results(Group group, Case reference) {
        Check check = new Check();
        group.run(reference, check);
        List<String> unread = reference.unread();
        if (!unread.isEmpty()) {
            throw new MalformedCase(reference.op() + " does not know " + String.join(", ", unread));
        }
        return check.differences();
    }

    private static List<String> fault(Group group, Case reference, Fault fault) {
        String expected = "expected the error \"" + fault.message().strip() + "\", came ";
        try {
            group.run(reference, new Check());
            return List.of(expected + "no error");
        } catch (EspalierException e) {
            String ours = String.valueOf(e.getMessage());
            List<String> missing = fault.missingFrom(ours);
            return missing.isEmpty()
                    ? List.of()
                    : List.of(
                            expected
                                    + "\""
                                    + ours
                                    + "\", which does not name "
                                    + String.join(", ", missing));
        }
    }

    private static String oneLine(RuntimeException e) {
        return e.getClass().getSimpleName()
                + ": "
                + String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }

    /** Names come from files: no control characters reach the terminal, and no endless lines. */
    private static String printable(String line) {
        String clean = line.replaceAll("\\p{Cntrl}", "?");
        return clean.length() <= LONGEST ? clean : clean.substring(0, LONGEST) + "…";
    }
}
