package io.espalier.nn;

import io.espalier.state.StateFile;
import io.espalier.state.TensorFile;
import io.espalier.state.TensorSource;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/** The state of a module and of all below it: taken out, put in, written and read. */
abstract sealed class StateHolder extends ModuleTree permits Module {
    /**
     * All stored parameters and buffers by dotted name, in PyTorch's order: of each module its
     * parameters, its buffers, then its children. The tensors share the model's memory and carry no
     * gradient.
     */
    public final SequencedMap<String, Tensor> stateDict() {
        return StateDict.of((Module) this);
    }

    /**
     * Copies a state into this model, whole or not at all. A state that holds {@code NAME_orig} and
     * {@code NAME_mask} where this model has a plain {@code NAME} makes that parameter masked.
     *
     * @throws EspalierException if an entry is missing, too many, or of another shape or type; the
     *     message names them and the model is as it was
     */
    public final void loadStateDict(Map<String, Tensor> state) {
        loadStateDict(state, options -> options);
    }

    /**
     * Copies a state into this model that may differ from its own, such as {@code o ->
     * o.strict(false)}.
     *
     * @return what was missing, and what was not expected
     * @throws EspalierException if it differs in what the options do not allow; the model is as it
     *     was
     */
    public final LoadReport loadStateDict(
            Map<String, Tensor> state, UnaryOperator<LoadOptions> with) {
        return StateDict.load(
                (Module) this,
                TensorSource.of(state),
                Needed.from(with, LoadOptions.DEFAULT, "the options"),
                "The state");
    }

    /**
     * Writes the state to a safetensors file that PyTorch can load too, with a checksum of each
     * tensor. A file that is there is replaced in one step: whoever reads sees the old one or the
     * new.
     *
     * @throws EspalierException if the file can't be written
     */
    public final void save(Path file) {
        StateFile.write(file, stateDict(), Map.of("format", "pt", "espalier.tree", toString()));
    }

    /**
     * Reads the state from a safetensors file, as {@link #loadStateDict(Map)} does. Names, types
     * and shapes are compared before any data are read, checksums before anything changes.
     *
     * @throws EspalierException if the file can't be read, is damaged, or its state does not fit
     */
    public final void load(Path file) {
        load(file, options -> options);
    }

    /**
     * Reads a state from a safetensors file that may differ from the model's own, such as {@code o
     * -> o.prefix("module.").convertTypes(true)}.
     *
     * @return what was missing, and what was not expected
     * @throws EspalierException if the file can't be read, is damaged, or differs in what the
     *     options do not allow; the model is as it was
     */
    public final LoadReport load(Path file, UnaryOperator<LoadOptions> with) {
        LoadOptions options = Needed.from(with, LoadOptions.DEFAULT, "the options");
        try (var open = TensorFile.open(file)) {
            return load(open, options, "The state in " + file);
        }
    }

    /**
     * Copies a state into this model that is read as it is needed, whole or not at all.
     *
     * @param what what an error calls the state
     * @throws EspalierException if it differs in what the options do not allow
     */
    public final LoadReport load(TensorSource state, LoadOptions options, String what) {
        return StateDict.load(
                (Module) this,
                Needed.of(state, "the state"),
                Needed.of(options, "the options"),
                what);
    }

    /**
     * Whether a buffer takes whatever shape a loaded state has, as an observer's do whose shape
     * depends on the data.
     */
    protected boolean isResizable(String buffer) {
        return false;
    }

    /**
     * Whether a buffer says how the module computes, such as whether it rounds, and not what was
     * learned: a model whose switches stand otherwise is another one.
     */
    public boolean isSwitch(String buffer) {
        return false;
    }

    /**
     * Whether states that were saved before a buffer existed lack it, and keep what it has: a batch
     * normalization's count of batches.
     */
    protected boolean isNewer(String buffer) {
        return false;
    }

    /**
     * What this module, which has no such parameter, computes with in its place: the floats that
     * integers stand for, or the parameter of the layer that it was made around.
     *
     * @return null if there is nothing of the kind
     */
    protected @Nullable Tensor derivedValue(String parameter) {
        if (!(this instanceof IntegerWeighted weighted)) {
            return null;
        }
        Tensor weight = weighted.floatWeights().get(parameter);
        return weight == null && hasBuffer(parameter) ? buffer(parameter) : weight;
    }

    /** Called after a state was loaded into the model, to compute what depends on it. */
    protected void stateLoaded() {}
}
