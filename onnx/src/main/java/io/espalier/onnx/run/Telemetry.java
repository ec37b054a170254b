package io.espalier.onnx.run;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * ONNX Runtime's reports of how it is used. From 1.29 on they end the process where its command
 * line has 4096 characters or more, as a class path makes it, and where a container has no shell.
 * An environment variable alone turns them off, and Java has no way to set one.
 */
final class Telemetry {
    private static final String VARIABLE = "ORT_DISABLE_TELEMETRY";
    private static final int IF_ABSENT = 0;

    private Telemetry() {}

    /** Turns reports off in this process, unless its environment says something else. */
    static void off() {
        Linker linker = Linker.nativeLinker();
        linker.defaultLookup()
                .find("setenv") // which Windows lacks, where reports go another way
                .ifPresent(setenv -> set(linker, setenv));
    }

    private static void set(Linker linker, MemorySegment setenv) {
        MethodHandle call =
                linker.downcallHandle(
                        setenv, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
        try (var arena = Arena.ofConfined()) {
            int failed =
                    (int)
                            call.invokeExact(
                                    arena.allocateFrom(VARIABLE),
                                    arena.allocateFrom("1"),
                                    IF_ABSENT);
            if (failed != 0) {
                throw new IllegalStateException("The variable " + VARIABLE + " can't be set.");
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
