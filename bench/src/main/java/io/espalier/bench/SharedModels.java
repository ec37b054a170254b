package io.espalier.bench;

import io.espalier.bench.models.MobileNetV3;
import io.espalier.bench.models.Settled;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Lets eight threads share quantized models for a while: every output must be, bit for bit, the one
 * that a single thread got before, and the process must not grow.
 */
public final class SharedModels {
    private static final int THREADS = 8;
    private static final int LINES = 10;
    private static final int INPUTS = 4;
    private static final long[] SHAPE = {1, 3, 96, 96};

    private final List<Shared> models;
    private final AtomicLong calls = new AtomicLong();
    private final AtomicLong differences = new AtomicLong();
    private final AtomicLong failures = new AtomicLong();

    /**
     * One model, and what a single thread got from it.
     *
     * @param expected an output for each input
     */
    private record Shared(Module model, List<Tensor> inputs, List<Tensor> expected) {
        static Shared of(Module model, List<Tensor> inputs) {
            return new Shared(model, inputs, inputs.stream().map(x -> output(model, x)).toList());
        }

        boolean agrees(int input) {
            try (var scope = new PointerScope()) {
                int i = input % inputs.size();
                return Tensors.equal(expected.get(i), output(model, inputs.get(i)));
            }
        }

        private static Tensor output(Module model, Tensor x) {
            try (var noGrad = new NoGradGuard()) {
                return model.call(x);
            }
        }
    }

    /** Models, each of which takes any of the inputs. */
    SharedModels(List<Module> models, List<Tensor> inputs) {
        this.models = models.stream().map(model -> Shared.of(model, inputs)).toList();
    }

    /**
     * Runs for a minute, or for as many seconds as the argument says, and prints ten times how it
     * stands. Ends with status 1 if an output differed or a call failed.
     */
    public static void main(String[] arguments) throws InterruptedException {
        Libtorch.seed(1);
        Duration duration;
        try {
            duration = duration(arguments);
        } catch (EspalierException e) {
            System.err.println(e.getMessage());
            System.exit(2);
            return;
        }
        if (!of(new MobileNetV3()).run(duration)) {
            System.exit(1);
        }
    }

    private static Duration duration(String[] arguments) {
        if (arguments.length == 0) {
            return Duration.ofMinutes(1);
        }
        if (arguments.length == 1 && arguments[0].matches("[1-9][0-9]{0,5}")) {
            return Duration.ofSeconds(Long.parseLong(arguments[0]));
        }
        throw new EspalierException(
                "Usage: bench/run threads [SECONDS]; got: " + String.join(" ", arguments) + ".");
    }

    /** A network quantized layer by layer, by its graph, and dynamically. */
    static SharedModels of(Module network) {
        Settled.of(network, 2, SHAPE[1], SHAPE[2], SHAPE[3]);
        List<Tensor> inputs = Stream.generate(() -> Tensors.randn(SHAPE)).limit(INPUTS).toList();
        Module graph = Quantization.quantize(network, inputs.getFirst(), inputs);
        Module dynamic = network.copy();
        Quantization.quantizeDynamic(dynamic);
        Module eager = network.copy();
        Quantization.fuse(eager, inputs.getFirst());
        eager.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(eager);
        inputs.forEach(eager::call);
        Quantization.convert(eager);
        return new SharedModels(List.of(eager, graph, dynamic), inputs);
    }

    /** Whether all outputs in this time were the expected ones. */
    boolean run(Duration duration) throws InterruptedException {
        long start = System.nanoTime();
        long end = start + duration.toNanos();
        List<Thread> threads =
                IntStream.range(0, THREADS)
                        .mapToObj(i -> Thread.ofPlatform().start(() -> compareUntil(end, i)))
                        .toList();
        System.out.printf("%10s%12s%12s%14s%n", "second", "calls", "differ", "resident");
        for (int line = 1; line <= LINES; line++) {
            long next = start + duration.toNanos() * line / LINES;
            Thread.sleep(Duration.ofNanos(Math.max(0, next - System.nanoTime())));
            print((System.nanoTime() - start) / 1e9);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.printf(
                Locale.ROOT,
                "%d threads: %,d calls, %d differ, %d failed%n",
                THREADS,
                calls.get(),
                differences.get(),
                failures.get());
        return calls.get() > 0 && differences.get() == 0 && failures.get() == 0;
    }

    private void compareUntil(long end, int thread) {
        try {
            for (int i = thread; System.nanoTime() < end; i++) {
                Shared shared = models.get(i % models.size());
                if (!shared.agrees(i / models.size())) {
                    differences.incrementAndGet();
                }
                calls.incrementAndGet();
            }
        } catch (RuntimeException e) {
            failures.incrementAndGet();
            System.out.println("Thread " + thread + ": " + e.getMessage());
        }
    }

    private void print(double second) {
        System.out.printf(
                Locale.ROOT,
                "%10.1f%,12d%12d%,11d MB%n",
                second,
                calls.get(),
                differences.get(),
                Pointer.physicalBytes() >> 20);
    }
}
