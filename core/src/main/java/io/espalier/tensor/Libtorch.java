package io.espalier.tensor;

import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;

/** Starts libtorch once per process and sets what must hold before its first operation. */
public final class Libtorch {
    static {
        // OpenBLAS keeps a pool of its own beside libtorch's; the two together make a training step
        // up to ten
        // times slower than libtorch's alone.
        openblas.blas_set_num_threads(1);
    }

    /** Far more than there are cores; for absurd numbers libgomp ends the process. */
    private static final int MOST_THREADS = 1024;

    private Libtorch() {}

    /** Loads the native libraries; later calls do nothing. */
    public static void start() {}

    /** The number of threads that one operation may use. */
    public static int threads() {
        return torch.get_num_threads();
    }

    /**
     * Sets the number of threads that one operation may use.
     *
     * @throws EspalierException if {@code count} is not in 1…1024
     */
    public static void threads(int count) {
        if (count < 1 || count > MOST_THREADS) {
            throw new EspalierException(
                    "The number of threads is 1 to " + MOST_THREADS + "; asked for " + count + ".");
        }
        torch.set_num_threads(count);
    }

    /** Seeds libtorch's generator: initialization, dropout and random pruning repeat from here. */
    public static void seed(long seed) {
        torch.manual_seed(seed);
    }
}
