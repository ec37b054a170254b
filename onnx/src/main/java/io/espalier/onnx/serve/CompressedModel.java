package io.espalier.onnx.serve;

import io.espalier.onnx.inputs.Signature;
import io.espalier.onnx.inputs.TensorInfo;
import io.espalier.onnx.lower.LibtorchSession;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.lower.ModelInterface;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.run.ModelRuntime;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.UnaryOperator;

/**
 * A model as a service runs it, whatever file it is in:
 *
 * <pre>{@code
 * try (var ocr = CompressedModel.load(Path.of("ocr-int8.onnx"))) {
 *     NumberArray letters = ocr.run(NumberArray.of(pixels, 1, 3, 48, 320));
 * }
 * }</pre>
 *
 * <p>ONNX files are run by ONNX Runtime, or, if that is asked for, by libtorch; graphs that were
 * quantized for libtorch by libtorch. What a call is given is checked against what the model wants
 * first. Safe to run from any number of threads at once; a run holds no memory when it is done, but
 * for its results.
 */
public final class CompressedModel implements RunningModel {
    private final ModelRuntime runtime;
    private final ModelInterface names;
    private final Signature signature;
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private @Nullable RunningModel running;

    private CompressedModel(ModelRuntime runtime, ModelInterface names, RunningModel running) {
        this.runtime = runtime;
        this.names = names;
        this.signature = Signature.of(names.inputs());
        this.running = running;
    }

    /**
     * Loads an ONNX file, or a graph that was quantized for libtorch, to be run with one thread for
     * each core.
     *
     * @throws EspalierException if the file can't be read, is neither, or its runtime refuses it
     */
    public static CompressedModel load(Path file) {
        return load(file, settings -> settings);
    }

    /**
     * Loads an ONNX file, or a graph that was quantized for libtorch.
     *
     * @throws EspalierException if the file can't be read, is neither, or the runtime refuses it or
     *     lacks one of its operators
     */
    public static CompressedModel load(Path file, UnaryOperator<ServingSettings> how) {
        Needed.of(file, "the file to load");
        ServingSettings settings = Needed.from(how, ServingSettings.DEFAULT, "the settings");
        boolean byLibtorch = settings.runtime().filter(ModelRuntime.LIBTORCH::equals).isPresent();
        if (LoweredFile.looksLikeOne(file)) {
            if (settings.runtime().isPresent() && !byLibtorch) {
                throw new EspalierException(
                        file
                                + " is a saved graph, which libtorch runs; ONNX Runtime runs ONNX"
                                + " files.");
            }
            LoweredFile loaded = LoweredFile.load(file);
            return onLibtorch(loaded.names(), new LibtorchSession(loaded.model()), settings);
        }
        OnnxModel model = OnnxModel.load(file);
        ModelInterface names = ModelInterface.of(model);
        return byLibtorch
                ? onLibtorch(names, lowered(model), settings)
                : new CompressedModel(
                        ModelRuntime.ONNX_RUNTIME,
                        names,
                        OnnxSession.open(
                                model,
                                with ->
                                        settings.threads().isPresent()
                                                ? with.threads(settings.threads().getAsInt())
                                                : with));
    }

    private static RunningModel lowered(OnnxModel model) {
        return new LibtorchSession(Lowering.lower(Repair.run(model).model()));
    }

    private static CompressedModel onLibtorch(
            ModelInterface names, RunningModel running, ServingSettings settings) {
        settings.threads().ifPresent(Libtorch::threads);
        return new CompressedModel(ModelRuntime.LIBTORCH, names, running);
    }

    /** What runs it. */
    public ModelRuntime runtime() {
        return runtime;
    }

    /** What it takes, in the model's order. */
    public List<TensorInfo> inputs() {
        return names.inputs();
    }

    /** What it gives, in the model's order. */
    public List<TensorInfo> outputs() {
        return names.outputs();
    }

    /**
     * Runs the model.
     *
     * @param inputs by the model's names, of its types and shapes
     * @return the results by name, which belong to the caller's {@code PointerScope}, if there is
     *     one
     * @throws EspalierException if names, types or shapes are not what the model wants, or it is
     *     closed
     */
    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
        Needed.of(inputs, "the inputs");
        return run(inputs, signature::exact);
    }

    private Map<String, Tensor> run(
            Map<String, Tensor> inputs, UnaryOperator<Map<String, Tensor>> checked) {
        @Nullable PointerScope outer = PointerScope.getInnerScope();
        lock.readLock().lock();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Map<String, Tensor> results = open().run(checked.apply(inputs));
            results.values().forEach(tensor -> Tensors.handOver(tensor, outer));
            return results;
        } finally {
            lock.readLock().unlock();
        }
    }

    private RunningModel open() {
        RunningModel open = running;
        if (open == null) {
            throw new EspalierException("The model is closed; load it again.");
        }
        return open;
    }

    /**
     * Runs the model on numbers in Java's memory.
     *
     * @param inputs by the model's names; floats become what the model wants of real numbers, longs
     *     of real numbers and of integers, where it can hold them, and 0 and 1 are its booleans
     * @return the results by name, in Java's memory
     * @throws EspalierException if names or shapes are not what the model wants, it can't hold the
     *     numbers, or it is closed
     */
    public Map<String, NumberArray> runArrays(Map<String, NumberArray> inputs) {
        Needed.of(inputs, "the inputs");
        try (var scope = new PointerScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            inputs.forEach((name, array) ->
                    tensors.put(name, Needed.of(array, "the input '" + name + "'").tensor()));
            Map<String, NumberArray> results = new LinkedHashMap<>();
            run(tensors, signature::converted)
                    .forEach((name, tensor) -> results.put(name, NumberArray.of(tensor)));
            return results;
        }
    }

    /**
     * Runs a model of one input and one output on numbers in Java's memory.
     *
     * @throws EspalierException if it has more, and as {@link #runArrays}
     */
    public NumberArray run(NumberArray input) {
        Needed.of(input, "the input");
        if (names.inputs().size() != 1 || names.outputs().size() != 1) {
            throw new EspalierException(
                    "The model takes %d tensors and gives %d; run it by names, with runArrays."
                            .formatted(names.inputs().size(), names.outputs().size()));
        }
        return runArrays(Map.of(names.inputs().getFirst().name(), input))
                .values()
                .iterator()
                .next();
    }

    @Override
    public void warmUp(Map<String, Tensor> inputs) {
        Needed.of(inputs, "the inputs");
        lock.readLock().lock();
        try {
            open().warmUp(signature.exact(inputs));
        } finally {
            lock.readLock().unlock();
        }
    }

    /** Waits for runs that have begun, and frees what the model holds. */
    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (running != null) {
                running.close();
                running = null;
            }
        } finally {
            lock.writeLock().unlock();
        }
    }
}
