package io.espalier.onnx.run;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtEnvironment.ThreadingOptions;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;

/**
 * ONNX Runtime's only environment in a process, made with threads that sessions may share, unless
 * somebody else made it before.
 */
final class RuntimeEnvironment {
    private static final boolean SHARES = make();

    private RuntimeEnvironment() {}

    private static boolean make() {
        Telemetry.off();
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

    static OrtEnvironment get() {
        return OrtEnvironment.getEnvironment();
    }

    /** Whether there are threads to share. */
    static boolean sharesThreads() {
        return SHARES;
    }
}
