package io.espalier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

import javax.tools.ToolProvider;

/**
 * A single-file program, run in this process as {@code java FILE.java} runs it: a new process would
 * spend most of its time on loading libtorch.
 *
 * @param file the source
 * @param classes where its classes are put
 */
record SourceProgram(Path file, Path classes) {
    /** The program's class. */
    String name() {
        return file.getFileName().toString().replace(".java", "");
    }

    /** Compiles the program; a warning is an error. */
    void compile() {
        var messages = new StringWriter();
        var compiler = Objects.requireNonNull(ToolProvider.getSystemJavaCompiler(), "a JDK");
        try (var files = compiler.getStandardFileManager(null, null, UTF_8)) {
            var options =
                    List.of(
                            "-d",
                            classes.toString(),
                            "-Xlint:all,-path,-classfile,-try",
                            "-Werror",
                            "-proc:none");
            var sources = files.getJavaFileObjects(file);
            if (!compiler.getTask(messages, files, null, options, null, sources).call()) {
                throw new AssertionError(messages.toString());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The compiled program's class, whose others are loaded when they are needed. */
    Class<?> load() {
        try {
            return new URLClassLoader(new URL[] {classes.toUri().toURL()}).loadClass(name());
        } catch (IOException | ClassNotFoundException e) {
            throw new AssertionError(e);
        }
    }

    /** Runs the compiled program and returns what it printed. */
    String run() throws Exception {
        return runWith();
    }

    /** The same with words on its command line. */
    String runWith(String... arguments) throws Exception {
        var printed = new ByteArrayOutputStream();
        PrintStream out = System.out;
        try (var loader = new URLClassLoader(new URL[] {classes.toUri().toURL()})) {
            System.setOut(new PrintStream(printed, true, UTF_8));
            main(loader.loadClass(name()), arguments);
        } finally {
            System.setOut(out);
        }
        return printed.toString(UTF_8);
    }

    /** Calls the program's {@code main}, which may be an instance's and may take no arguments. */
    private static void main(Class<?> type, String[] arguments) throws Exception {
        try {
            var constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            for (Method method : type.getDeclaredMethods()) {
                if (method.getName().equals("main")) {
                    method.setAccessible(true);
                    Object[] given =
                            method.getParameterCount() == 0
                                    ? new Object[0]
                                    : new Object[] {arguments};
                    method.invoke(constructor.newInstance(), given);
                    return;
                }
            }
            throw new AssertionError(type.getName() + " has no main");
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
