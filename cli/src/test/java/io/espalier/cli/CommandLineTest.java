package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;

class CommandLineTest {
    private record Result(int exit, String out, String err) {}

    @Command(name = "fail")
    private record Fail(Exception error) implements Callable<Integer> {
        @Override
        public Integer call() throws Exception {
            throw error;
        }
    }

    private static Result execute(CommandLine line, String... args) {
        var out = new StringWriter();
        var err = new StringWriter();
        line.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
        line.setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
        int exit = line.execute(args);
        return new Result(exit, out.toString(), err.toString());
    }

    private static Result execute(String... args) {
        return execute(Espalier.commandLine(), args);
    }

    private static Result failWith(Exception error, String... args) {
        CommandLine line = Espalier.commandLine();
        var fail = new CommandLine(new Fail(error));
        fail.setExecutionExceptionHandler(line.getExecutionExceptionHandler());
        line.addSubcommand(fail);
        return execute(line, args);
    }

    @Test
    @DisplayName("The help lists every command with one sentence")
    void helpListsCommands() {
        var result = execute("--help");

        assertEquals(0, result.exit());
        for (String command : Espalier.commandLine().getSubcommands().keySet()) {
            assertTrue(
                    result.out().matches("(?s).*\n  " + command + " +[A-Z].*\\..*"),
                    () -> command + " in " + result.out());
        }
    }

    @Test
    @DisplayName("Every command explains itself")
    void everyCommandHasHelp() {
        for (String command : Espalier.commandLine().getSubcommands().keySet()) {
            var result = execute(command, "--help");

            assertEquals(0, result.exit(), command);
            assertTrue(result.out().startsWith("Usage: espalier " + command), result::out);
        }
    }

    @Test
    @DisplayName("The version names Espalier, libtorch and Java")
    void versionNamesAllThree() {
        var result = execute("--version");

        assertEquals(0, result.exit());
        assertTrue(
                result.out()
                        .matches(
                                "Espalier \\d+\\.\\d+.*\\Rlibtorch \\d+\\.\\d+.*\\RJava 2\\d.*\\R"),
                result::out);
    }

    @Test
    @DisplayName("A misspelt command is one line, a suggestion and a hint, with exit code 2")
    void misspeltCommand() {
        var result = execute("completoin");

        assertEquals(2, result.exit());
        List<String> lines = result.err().lines().toList();
        assertEquals("espalier: Unmatched argument at index 0: 'completoin'", lines.get(0));
        assertTrue(lines.get(1).startsWith("Did you mean: espalier completion"), lines.get(1));
        assertEquals("Try 'espalier --help'.", lines.get(2));
        assertEquals(3, lines.size());
    }

    @Test
    @DisplayName("No command at all is a usage error")
    void noCommand() {
        var result = execute();

        assertEquals(2, result.exit());
        assertEquals("espalier: A command is missing.\nTry 'espalier --help'.\n", result.err());
    }

    @Test
    @DisplayName("An error of Espalier's is its sentence on one line, with exit code 1")
    void ownError() {
        var result = failWith(new EspalierException("No module 'a'; it has: b."), "fail");

        assertEquals(new Result(1, "", "espalier: No module 'a'; it has: b.\n"), result);
    }

    @Test
    @DisplayName("A missing file is named")
    void missingFile() {
        var result = failWith(new NoSuchFileException("model.safetensors"), "fail");

        assertEquals(new Result(1, "", "espalier: No file 'model.safetensors'.\n"), result);
    }

    @Test
    @DisplayName("An unexpected error is one line that says how to get the trace")
    void unexpectedError() {
        var result = failWith(new IllegalStateException("broken\nin two"), "fail");

        assertEquals(
                new Result(
                        1,
                        "",
                        "espalier: Unexpected IllegalStateException: broken (add --stacktrace to"
                                + " see where)\n"),
                result);
    }

    @Test
    @DisplayName("With --stacktrace an error shows where it comes from")
    void stacktrace() {
        var result = failWith(new EspalierException("Broken."), "--stacktrace", "fail");

        assertEquals(1, result.exit());
        assertTrue(result.err().startsWith("espalier: Broken.\n"), result::err);
        assertTrue(result.err().contains("\tat "), result::err);
    }

    @Test
    @DisplayName("A program that does not exist cannot be run")
    void runMissingFile() {
        var result = execute("run", "Nowhere.java", "--option");

        assertEquals(new Result(1, "", "espalier: No file 'Nowhere.java' to run.\n"), result);
    }

    @Test
    @DisplayName("What is no program, is empty or is a directory is refused by name")
    void runWhatIsNoProgram(@TempDir Path folder) throws IOException {
        Path notes = Files.writeString(folder.resolve("notes.txt"), "void main() {}");
        Path empty = Files.writeString(folder.resolve("Empty.java"), "");

        for (Path file : List.of(notes, empty, folder)) {
            var result = execute("run", file.toString());

            assertEquals(1, result.exit());
            assertEquals(1, result.err().lines().count(), result::err);
            assertTrue(result.err().startsWith("espalier: '" + file + "' is "), result::err);
        }
    }

    @Test
    @DisplayName("Names from outside reach the terminal without escape sequences")
    void escapeSequences() {
        for (String[] arguments :
                new String[][] {
                    {"run", "\u001b[2J.java"},
                    {"inspect", "\u001b[2J"},
                    {"conformance", "\u001b[2J"},
                    {"\u001b[2J"},
                    {"demo", "--data", "\u001b[2J"}
                }) {
            var result = execute(arguments);

            assertTrue(result.exit() > 0);
            assertFalse(result.err().contains("\u001b"), result::err);
            assertTrue(result.err().contains("\\u001b[2J"), result::err);
        }
    }

    @Test
    @DisplayName("Every help text is a format, as picocli takes it")
    void helpTextsAreFormats() {
        var specs = new ArrayList<CommandSpec>();
        specs.add(Espalier.commandLine().getCommandSpec());
        specs.get(0).subcommands().values().forEach(command -> specs.add(command.getCommandSpec()));
        for (CommandSpec spec : specs) {
            var texts = new ArrayList<String>();
            texts.addAll(List.of(spec.usageMessage().description()));
            texts.addAll(List.of(spec.usageMessage().footer()));
            spec.args().forEach(argument -> texts.addAll(List.of(argument.description())));
            for (String text : texts) {
                assertDoesNotThrow(() -> String.format(Locale.ROOT, text), text);
            }
        }
    }

    @Test
    @DisplayName("The completion script completes every command")
    void completion() {
        var result = execute("completion");

        assertEquals(0, result.exit());
        for (String command : Espalier.commandLine().getSubcommands().keySet()) {
            assertTrue(result.out().contains("_picocli_espalier_" + command), command);
        }
    }
}
