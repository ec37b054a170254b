package io.espalier.onnx.run;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtEnvironment.ThreadingOptions;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;

import io.espalier.tensor.UnpackedLibrary;

import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * ONNX Runtime's only environment in a process, made with threads that sessions may share, unless
 * somebody else made it before.
 */
final class RuntimeEnvironment {
    /** ONNX Runtime tells its trouble with its library there, as stack traces. */
    private static final Logger LOADING = Logger.getLogger("ai.onnxruntime.OnnxRuntime");

    private static final State STATE = make();

    private RuntimeEnvironment() {}

    /**
     * What became of it.
     *
     * @param shares whether there are threads to share
     * @param missing why there is none, if so
     */
    private record State(boolean shares, Optional<LinkageError> missing) {}

    private static State make() {
        Level before = LOADING.getLevel();
        LOADING.setLevel(Level.OFF);
        try {
            Telemetry.off();
            return new State(sharing(), Optional.empty());
        } catch (LinkageError e) {
            return new State(false, Optional.of(e));
        } finally {
            LOADING.setLevel(before);
        }
    }

    private static boolean sharing() {
        var threads = new ThreadingOptions();
        try {
            threads.setGlobalIntraOpNumThreads(Runtime.getRuntime().availableProcessors());
            threads.setGlobalInterOpNumThreads(1);
            threads.setGlobalSpinControl(false);
            return OrtEnvironment.getEnvironment(
                            OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "espalier", threads)
                    != null;
        } catch (OrtException | IllegalStateException e) {
            // The program that Espalier runs in has an environment of its own.
            threads.close();
            return false;
        }
    }

    /**
     * The environment.
     *
     * @throws io.espalier.tensor.EspalierException if ONNX Runtime's own library can't be loaded
     */
    static OrtEnvironment get() {
        if (STATE.missing().isPresent()) {
            throw UnpackedLibrary.missing("ONNX Runtime", STATE.missing().get());
        }
        return OrtEnvironment.getEnvironment();
    }

    /** Whether there are threads to share. */
    static boolean sharesThreads() {
        return STATE.shares();
    }
}
